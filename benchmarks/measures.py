"""Dice, HD95, ASSD and NSD of the same masks by ushape and by MONAI: equal numbers, and how long each takes.

Two 192^3 masks: ellipsoids of semi-axes n/5, 0.9 n/5 and 0.8 n/5, the second shifted by (3, -2, 4) voxels; their
foreground alone, and foreground and background. And 60 hippocampus cases, each predicted by its label, shifted and
perhaps eroded by a seeded rule. Arrays are made beforehand as each side takes them: bool masks here, one-hot float
tensors there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy import ndarray

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 1.0
SPACINGS = {"1 x 1 x 1 mm": (1.0, 1.0, 1.0), "2 x 0.8 x 0.8 mm": (2.0, 0.8, 0.8)}
CASES = 60
Numbers = list[list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of MSD Task04_Hippocampus; without it, ellipsoids only")
    parser.add_argument("--peer", default=sys.executable, help="a Python that has MONAI")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        tasks = {name: time_task(options.side, task, options.runs) for name, task in read_tasks(Path.cwd()).items()}
        print(json.dumps(tasks))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_tasks(Path(folder), options)
        ours, theirs = (
            run_side(python, side, folder, options.runs)
            for side, python in (("ushape", sys.executable), ("monai", options.peer))
        )
    kinds = compare_methods(options.size, options.runs)
    write(options, ours, theirs, kinds)


def write_tasks(folder: Path, options: argparse.Namespace) -> None:
    """Write each task as one file of arrays: predictions, labels, spacing, and which classes count."""
    guess, truth = (mask.astype(np.uint8)[None] for mask in ellipsoids(options.size))
    n = options.size
    for name, spacing in SPACINGS.items():
        for classes, convention in (((1,), "foreground only"), ((0, 1), "background included")):
            place = folder / f"{n}^3, {name}, {convention}.npz"
            np.savez(place, guess_0=guess[0], truth_0=truth[0], spacing_0=spacing, classes=classes)
    if options.data:
        cases = hippocampus(options.data, options.cases)
        arrays = {f"{what}_{i}": array for i, case in enumerate(cases) for what, array in case.items()}
        np.savez(folder / f"{len(cases)} hippocampus cases.npz", **arrays, classes=(1, 2))


def ellipsoids(n: int) -> tuple[ndarray, ndarray]:
    grid = np.indices((n,) * 3)
    axes = n / 5 * np.array([1, 0.9, 0.8])
    return tuple(
        sum(((grid[i] - n / 2 - shift[i]) / axes[i]) ** 2 for i in range(3)) <= 1 for shift in ((0, 0, 0), (3, -2, 4))
    )


def hippocampus(data: Path, count: int) -> list[dict[str, ndarray]]:
    """Read labels, and predict each by itself: shifted by -1, 0 or 1 voxels, every other one eroded."""
    import nibabel
    from scipy import ndimage

    rng, cases = np.random.default_rng(4), []
    for path in sorted((data / "labelsTr").glob("[!.]*.nii.gz"))[:count]:
        image = nibabel.load(path)
        truth = np.asarray(image.dataobj).astype(np.uint8)
        guess = np.roll(truth, rng.integers(-1, 2, 3), axis=(0, 1, 2))
        if rng.random() < 0.5:
            guess = guess * ndimage.binary_erosion(guess > 0).astype(np.uint8)
        cases.append({"guess": guess, "truth": truth, "spacing": np.array(image.header.get_zooms(), dtype=float)})
    return cases


def read_tasks(folder: Path) -> dict[str, dict]:
    tasks = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            count = sum(name.startswith("guess_") for name in arrays)
            cases = [
                (arrays[f"guess_{i}"], arrays[f"truth_{i}"], tuple(arrays[f"spacing_{i}"].tolist()))
                for i in range(count)
            ]
            tasks[path.stem] = {"cases": cases, "classes": tuple(arrays["classes"].tolist())}
    return tasks


def run_side(python: str, side: str, folder: str, runs: int) -> dict[str, dict]:
    command = [python, str(Path(__file__).resolve()), "--side", side, "--runs", str(runs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout)


def time_task(side: str, task: dict, runs: int) -> dict:
    """Return the numbers of a task, and the median seconds of Dice and of the three surface measures."""
    prepare, dice, surfaces = SIDES[side]
    ready = [prepare(*case, task["classes"]) for case in task["cases"]]
    dice_seconds, dices = time_median(lambda: [dice(case) for case in ready], runs)
    surface_seconds, distances = time_median(lambda: [surfaces(case) for case in ready], runs)
    numbers = [[*row, *rest] for a, b in zip(dices, distances, strict=True) for row, rest in zip(a, b, strict=True)]
    return {"numbers": numbers, "dice_s": dice_seconds, "surface_s": surface_seconds}


def time_median(call: Callable[[], object], runs: int) -> tuple[float, object]:
    times, result = [], call()
    for _ in range(runs):
        started = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - started)
    return statistics.median(times), result


def prepare_ushape(guess: ndarray, truth: ndarray, spacing: tuple, classes: tuple) -> tuple:
    return [tuple(np.ascontiguousarray(mask == i) for mask in (guess, truth)) for i in classes], spacing


def dice_ushape(case: tuple) -> Numbers:
    from ushape.measure.overlap import count_overlaps

    return [[count_overlaps(guess[None], truth[None], 1)[0].dice] for guess, truth in case[0]]


def surfaces_ushape(case: tuple) -> Numbers:
    from ushape.measure.surface import surface_distances

    found = [surface_distances(guess, truth, case[1]) for guess, truth in case[0]]
    return [[one.hd95, one.assd, one.nsd(TOLERANCE)] for one in found]


def prepare_monai(guess: ndarray, truth: ndarray, spacing: tuple, classes: tuple) -> tuple:
    import torch

    known = range(max(classes) + 1)
    pair = [torch.from_numpy(np.stack([mask == i for i in known])[None].astype(np.float32)) for mask in (guess, truth)]
    return pair, spacing, 0 in classes


def dice_monai(case: tuple) -> Numbers:
    from monai.metrics import compute_dice

    return compute_dice(*case[0], include_background=case[2])[0].reshape(-1, 1).tolist()


def surfaces_monai(case: tuple) -> Numbers:
    from monai import metrics

    pair, spacing, background = case
    how = {"include_background": background, "spacing": spacing}
    tolerances = [TOLERANCE] * (pair[0].shape[1] - (not background))
    columns = (
        metrics.compute_hausdorff_distance(*pair, percentile=95, **how),
        metrics.compute_average_surface_distance(*pair, symmetric=True, **how),
        metrics.compute_surface_dice(*pair, class_thresholds=tolerances, **how),
    )
    return np.stack([column[0].numpy() for column in columns], axis=1).tolist()


SIDES = {
    "ushape": (prepare_ushape, dice_ushape, surfaces_ushape),
    "monai": (prepare_monai, dice_monai, surfaces_monai),
}


def compare_methods(n: int, runs: int) -> dict[str, dict[str, float]]:
    """Time all surface distances of masks of several kinds: by rows and tree, by the tree alone, by a transform."""
    from scipy import ndimage

    from ushape.measure import nearest, surface

    def transform(a: ndarray, b: ndarray) -> list[ndarray]:
        box = surface.bounding_box(a | b)
        edges = [m[box] & ~ndimage.binary_erosion(m[box]) for m in (a, b)]
        return [ndimage.distance_transform_edt(~edges[1 - i])[edges[i]] for i in (0, 1)]

    def tree(a: ndarray, b: ndarray) -> list[ndarray]:
        points = [surface.surface_voxels(m) for m in (a, b)]
        return [nearest.ask_tree(points[i], points[1 - i], (1.0,) * 3) for i in (0, 1)]

    def ours(a: ndarray, b: ndarray) -> list[ndarray]:
        found = surface.surface_distances(a, b, (1.0,) * 3)
        return [found.from_prediction, found.from_label]

    times = {}
    for name, (a, b) in kinds_of_masks(n).items():
        found = {
            how.__name__: time_median(lambda how=how, a=a, b=b: how(a, b), runs) for how in (ours, tree, transform)
        }
        for other in (found["tree"][1], found["transform"][1]):
            for mine, theirs in zip(found["ours"][1], other, strict=True):
                np.testing.assert_allclose(np.sort(theirs), mine, rtol=1e-9)
        times[name] = {how: seconds for how, (seconds, _) in found.items()}
    return times


def kinds_of_masks(n: int) -> dict[str, tuple[ndarray, ndarray]]:
    grid, rng = np.indices((n,) * 3), np.random.default_rng(0)

    def ball(radius: float, centre: float = 0.5) -> ndarray:
        return ((grid - centre * n) ** 2).sum(axis=0) <= (radius * n) ** 2

    return {
        "balls that nearly coincide": (ball(0.2), ball(0.195)),
        "balls that nearly fill the image": (ball(0.48), ball(0.475)),
        "small balls in opposite corners": (ball(0.08, 0.1), ball(0.08, 0.9)),
        "noise, every second voxel": tuple(rng.random((2, *(n // 2,) * 3)) < 0.5),
    }


def largest_difference(ours: Numbers, theirs: Numbers) -> float:
    """Return the largest relative difference; what is nan on one side (a class in neither mask) is left out."""
    pairs = np.array([(row, other) for row, other in zip(ours, theirs, strict=True)]).swapaxes(0, 1)
    a, b = pairs[:, ~np.isnan(pairs).any(axis=0)]
    return float(np.abs(np.where(a == b, 0, a - b) / np.where(b == 0, 1, b)).max())


def write(options: argparse.Namespace, ours: dict, theirs: dict, kinds: dict) -> None:
    command = f"`python benchmarks/measures.py --data DIR --peer PYTHON`, medians of {options.runs} runs"
    lines = [
        f"{command}; {os.cpu_count()} CPU cores, of which ushape uses one",
        "",
        "| masks | Dice, s: ushape / MONAI | HD95 + ASSD + NSD, s: ushape / MONAI | ratio | largest difference |",
        "|---|---|---|---|---|",
    ]
    for name, mine in ours.items():
        peer = theirs[name]
        apart = largest_difference(mine["numbers"], peer["numbers"])
        if apart > 1e-6:
            raise SystemExit(f"{name}: the numbers differ by {apart:.2g}: {mine['numbers']} and {peer['numbers']}")
        times = [f"{mine[key]:.4f} / {peer[key]:.4f}" for key in ("dice_s", "surface_s")]
        lines.append(f"| {name} | {' | '.join(times)} | {peer['surface_s'] / mine['surface_s']:.0f} | {apart:.0e} |")
    lines += ["", "| all surface distances, s | rows and tree | tree alone | distance transform |", "|---|---|---|---|"]
    lines += [f"| {name} | {t['ours']:.3f} | {t['tree']:.3f} | {t['transform']:.3f} |" for name, t in kinds.items()]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "measures.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "measures.json").write_text(
        json.dumps({"ushape": ours, "monai": theirs, "methods": kinds}, indent=1) + "\n"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
