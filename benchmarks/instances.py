"""Nuclei found one by one: objects of held-out DSB 2018 images, by connected components and by watershed.

Predictions are class masks, made here by a model (`--model`, one trained as `real_images.py` does, so that its held-out
tenth was never seen) or beforehand (`--predictions`). Both methods have their default settings. Those of the watershed
were chosen on true masks of this data set, some of the held-out ones perhaps among them: its figures may flatter.
`--border MINUTES` also trains, for as long as FILE was, a model of three classes on the images that are not held out:
background, inside, and a border of two pixels' width where objects touch; what is inside grows until borders meet.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image
from real_images import split_dsb

from ushape.io.images import read_mask
from ushape.measure.instances import InstanceScores, score_instances
from ushape.measure.summary import bootstrap_interval
from ushape.predict.instances import InstanceConfig, Method, split_mask
from ushape.predict.postprocess import components

RESULTS = Path(__file__).parent / "results"
METHODS: tuple[Method, ...] = ("components", "watershed")
COLUMNS = ("ap_50", "ap_60", "ap_70", "ap_75", "ap_80", "ap_90", "mean_ap", "aji")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="dsb2018: images/ and labels/, a number per nucleus")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--model", type=Path, help="a model file; it must not have seen the held-out images")
    given.add_argument("--predictions", type=Path, help="a folder of class masks of the held-out images")
    parser.add_argument("--cases", type=int, help="only so many images, to try the script")
    parser.add_argument("--border", type=float, metavar="MINUTES", help="train a model with a class of borders too")
    options = parser.parse_args()
    stems = sorted(split_dsb(sorted(path.stem for path in (options.data / "images").iterdir())))[: options.cases]
    with tempfile.TemporaryDirectory() as folder:
        masks = options.predictions or predict(options.model, options.data, stems, Path(folder))
        labels = options.data / "labels"
        scored = {method: score(partial(split, method=method), masks, labels, stems) for method in METHODS}
        if options.border:
            place = Path(folder) / "border"
            model = train_borders(options.data, {*stems}, place, options.border)
            scored["border class"] = score(grow, predict(model, options.data, stems, place), labels, stems)
    write(scored, len(stems))


def train_borders(data: Path, held_out: set[str], folder: Path, minutes: float) -> Path:
    """Train on masks of inside and border; return the model."""
    from skimage.segmentation import find_boundaries

    cases = folder / "cells"
    for kind in ("images", "masks"):
        (cases / kind).mkdir(parents=True)
    for path in (data / "images").iterdir():
        if path.stem not in held_out:
            objects = read_mask(data / "labels" / f"{path.stem}.png").astype(np.int64)
            border = find_boundaries(objects, connectivity=2, mode="inner")
            Image.fromarray(np.where(border, 2, objects > 0).astype(np.uint8)).save(
                cases / "masks" / f"{path.stem}.png"
            )
            shutil.copy(path, cases / "images")
    command = ["train", str(cases), "-o", str(folder / "run"), "--minutes", str(minutes)]
    subprocess.run([sys.executable, "-m", "ushape", *command], check=True, stdout=subprocess.DEVNULL)
    return folder / "run"


def split(mask: ndarray, method: Method) -> ndarray:
    """Number the objects of a mask by a method of the product."""
    return split_mask(mask > 0, (1.0, 1.0), InstanceConfig(method=method))


def grow(mask: ndarray) -> ndarray:
    """Number what is inside, and let it grow over the borders, the nearest first."""
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import watershed

    return watershed(distance_transform_edt(mask != 1), components(mask == 1)[0], mask=mask > 0)


def predict(model: Path, data: Path, stems: list[str], folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    for stem in stems:
        shutil.copy(data / "images" / f"{stem}.png", folder / "images")
    command = [sys.executable, "-m", "ushape", "predict", str(model), str(folder / "images"), "-o", str(folder / "out")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "out"


def score(number: Callable[[ndarray], ndarray], masks: Path, labels: Path, stems: list[str]) -> dict[str, list[float]]:
    """Return the measures of each image by name, and the seconds that numbering its objects took."""
    found: dict[str, list[float]] = {name: [] for name in (*COLUMNS, "predicted", "true", "seconds")}
    for stem in stems:
        mask, truth = read_mask(masks / f"{stem}.png"), read_mask(labels / f"{stem}.png")
        started = time.perf_counter()
        objects = number(mask)
        found["seconds"].append(time.perf_counter() - started)
        add(found, score_instances(objects, truth.astype(np.int64)))
    return found


def add(found: dict[str, list[float]], scores: InstanceScores) -> None:
    measures = scores.measures()
    for name in COLUMNS:
        found[name].append(measures[name])
    found["predicted"].append(scores.predicted)
    found["true"].append(scores.true)


def write(scored: dict[str, dict[str, list[float]]], cases: int) -> None:
    lines = [
        f"`python benchmarks/instances.py --data DIR --model FILE`, {cases} held-out images of DSB 2018",
        "",
        f"| objects by | {' | '.join(COLUMNS)} | objects found / true | ms an image |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for method, found in scored.items():
        means = [f"{np.mean(found[name]):.3f}{interval(found[name])}" for name in COLUMNS]
        counts = f"{sum(found['predicted']):.0f} / {sum(found['true']):.0f}"
        lines.append(f"| {method} | {' | '.join(means)} | {counts} | {1000 * np.median(found['seconds']):.1f} |")
    rules = "Means over the images, with 95 % intervals. ap: TP / (TP + FP + FN) at the named IoU; mean_ap: over IoU"
    lines += ["", f"{rules} 0.5, 0.55 and on to 0.95; aji: aggregated Jaccard index."]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "instances.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "instances.json").write_text(json.dumps(scored) + "\n")
    print("\n".join(lines))


def interval(values: list[float]) -> str:
    low, high = bootstrap_interval(values)
    return "" if np.isnan(low) else f" ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
