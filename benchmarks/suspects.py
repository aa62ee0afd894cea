"""How many wrong labels the doctor lists: some are planted in nuclei of DSB 2018, then folds are trained on them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results"
EVERY = 10
"""One label in so many is made wrong."""

Mask = np.ndarray
FAULTS: Mapping[str, Callable[[Mask, Mask], Mask]] = {
    "another image's": lambda _, other: other,
    "empty": lambda own, _: np.zeros_like(own),
    "every second object erased": lambda own, _: np.where(own % 2 > 0, own, 0),
    "moved by 8 pixels": lambda own, _: np.roll(own, (8, 8), (0, 1)),
    "grown by 3 pixels": lambda own, _: grow(own, 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="dsb2018: images/ and labels/")
    parser.add_argument("--cases", type=int, default=150, help="how many images, of 256 x 256")
    parser.add_argument("--minutes", type=float, default=9, help="for all three folds together")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        planted = plant(options.data, options.cases, Path(folder) / "data")
        told = cross_validate(Path(folder), options.minutes)
    write(planted, told, options.cases, options.minutes)


def plant(data: Path, cases: int, folder: Path) -> dict[str, str]:
    """Copy images and labels, some of these made wrong; return what is wrong, by the name of the case."""
    stems = [path.stem for path in sorted((data / "images").iterdir()) if Image.open(path).size == (256, 256)]
    chosen = stems[:: max(len(stems) // cases, 1)][:cases]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    planted = {}
    for number, stem in enumerate(chosen):
        Image.open(data / "images" / f"{stem}.png").save(folder / "images" / f"{stem}.png")
        label = np.asarray(Image.open(data / "labels" / f"{stem}.png"))
        if number % EVERY == 0:
            planted[stem] = list(FAULTS)[number // EVERY % len(FAULTS)]
            other = np.asarray(Image.open(data / "labels" / f"{chosen[number - 1]}.png"))
            label = FAULTS[planted[stem]](label, other)
        Image.fromarray((255 * (label > 0)).astype(np.uint8)).save(folder / "masks" / f"{stem}.png")
    return planted


def grow(label: Mask, pixels: int) -> Mask:
    from scipy.ndimage import binary_dilation

    return binary_dilation(label > 0, iterations=pixels).astype(label.dtype)


def cross_validate(folder: Path, minutes: float) -> list[dict[str, str]]:
    """Train the folds, and return the suspects that the doctor names."""
    ushape = [sys.executable, "-m", "ushape"]
    folds = ["--fold", "all", "--folds", "3", "--minutes", str(minutes)]
    subprocess.run([*ushape, "train", str(folder / "data"), "-o", str(folder / "run"), *folds], check=True)
    said = subprocess.run([*ushape, "doctor", str(folder / "run"), "--json"], check=True, capture_output=True)
    found: list[dict[str, str]] = json.loads(said.stdout)["suspects"]
    return found


def write(planted: Mapping[str, str], told: list[dict[str, str]], cases: int, minutes: float) -> None:
    listed = {suspect["case"]: suspect["differs"] for suspect in told}
    command = f"`python benchmarks/suspects.py --data DIR --minutes {minutes:g}`"
    lines = [
        f"{command}, {cases} images of DSB 2018, 3 folds; {len(planted)} labels made wrong",
        "",
        "| label | planted | listed | said to look like |",
        "|---|---:|---:|---|",
    ]
    for fault in FAULTS:
        names = [name for name, kind in planted.items() if kind == fault]
        found = [name for name in names if name in listed]
        looks = "; ".join(sorted({listed[name].split(":")[0] for name in found}))
        lines.append(f"| {fault} | {len(names)} | {len(found)} | {looks} |")
    sound = [name for name in listed if name not in planted]
    looks = "; ".join(sorted({listed[name].split(":")[0] for name in sound}))
    lines.append(f"| as it was | {cases - len(planted)} | {len(sound)} | {looks} |")
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "suspects.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
