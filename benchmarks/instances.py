"""Nuclei found one by one: objects of held-out DSB 2018 images, by connected components and by watershed.

Predictions are class masks, made here by a model (`--model`, one trained as `real_images.py` does, so that its held-out
tenth was never seen) or beforehand (`--predictions`). Both methods have their default settings. Those of the watershed
were chosen on true masks of this data set, some of the held-out ones perhaps among them: its figures may flatter.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from real_images import split_dsb

from ushape.io.images import read_mask
from ushape.measure.instances import InstanceScores, score_instances
from ushape.measure.summary import bootstrap_interval
from ushape.predict.instances import InstanceConfig, split_mask

RESULTS = Path(__file__).parent / "results"
METHODS = ("components", "watershed")
COLUMNS = ("ap_50", "ap_60", "ap_70", "ap_75", "ap_80", "ap_90", "mean_ap", "aji")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="dsb2018: images/ and labels/, a number per nucleus")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--model", type=Path, help="a model file; it must not have seen the held-out images")
    given.add_argument("--predictions", type=Path, help="a folder of class masks of the held-out images")
    parser.add_argument("--cases", type=int, help="only so many images, to try the script")
    options = parser.parse_args()
    stems = sorted(split_dsb(sorted(path.stem for path in (options.data / "images").iterdir())))[: options.cases]
    with tempfile.TemporaryDirectory() as folder:
        masks = options.predictions or predict(options.model, options.data, stems, Path(folder))
        scored = {method: score(method, masks, options.data / "labels", stems) for method in METHODS}
    write(scored, len(stems))


def predict(model: Path, data: Path, stems: list[str], folder: Path) -> Path:
    (folder / "images").mkdir()
    for stem in stems:
        shutil.copy(data / "images" / f"{stem}.png", folder / "images")
    command = [sys.executable, "-m", "ushape", "predict", str(model), str(folder / "images"), "-o", str(folder / "out")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "out"


def score(method: str, masks: Path, labels: Path, stems: list[str]) -> dict[str, list[float]]:
    """Return the measures of each image by name, and the seconds that numbering its objects took."""
    found: dict[str, list[float]] = {name: [] for name in (*COLUMNS, "predicted", "true", "seconds")}
    for stem in stems:
        mask, truth = read_mask(masks / f"{stem}.png") > 0, read_mask(labels / f"{stem}.png")
        started = time.perf_counter()
        objects = split_mask(mask, (1.0, 1.0), InstanceConfig(method=method))
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
