"""Train on two real data sets for a few minutes each, by default settings, and score images never seen in training.

ISBI 2012 membranes: the last 4 of 24 images are held out. DSB 2018 nuclei: a seeded tenth of 440 images is held out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from prepare import measure

from ushape.io.images import read_mask

RESULTS = Path(__file__).parent / "results"
USHAPE = [sys.executable, "-m", "ushape"]
NAMES = {"isbi2012": {"background": "membrane", "foreground": "cell"}, "dsb2018": {"foreground": "nucleus"}}
"""Of the classes that are shown, by data set."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the trained models, DATA_SET.safetensors")
    parser.add_argument("--only", choices=["isbi2012", "dsb2018"])
    options = parser.parse_args()
    tasks = {"isbi2012": ("masks", split_isbi), "dsb2018": ("labels", split_dsb)}
    stored = RESULTS / "real_images.json"
    results = json.loads(stored.read_text()) if stored.exists() and options.only else {}
    for name, (masks, split) in tasks.items():
        if options.only in (None, name):
            results[name] = run(options.data / name, masks, split, options)
            print(json.dumps(results[name], indent=2))
    write(results, options.minutes)


def split_isbi(stems: list[str]) -> set[str]:
    return set(stems[-4:])


def split_dsb(stems: list[str]) -> set[str]:
    return set(np.random.default_rng(2018).choice(stems, len(stems) // 10, replace=False).tolist())


def run(source: Path, masks: str, split, options: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train", Path(folder) / "test"
        stems = sorted(path.stem for path in (source / "images").iterdir())
        held_out = split(stems)
        for stem in stems:
            target = test if stem in held_out else train
            for kind in ("images", masks):
                (target / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(source / kind / f"{stem}.png", target / kind)
        flags = ["--foreground"] if masks == "labels" else []
        wishes = ["--minutes", options.minutes, "--seed", options.seed]
        spent = measure([*USHAPE, "train", train, "-o", f"{folder}/run", *wishes, *flags])
        predicted = measure([*USHAPE, "predict", f"{folder}/run", test, "-o", f"{folder}/masks"])
        scored = [*USHAPE, "evaluate", f"{folder}/masks", str(test / masks), "-o", f"{folder}/scores", "--json", *flags]
        scores = json.loads(subprocess.run(scored, check=True, capture_output=True, text=True).stdout)
        pooled = pool_dice(Path(folder) / "masks", test / masks)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"{folder}/run/model.safetensors", options.keep / f"{source.name}.safetensors")
        curve = (Path(folder) / "run" / "metrics.csv").read_text().splitlines()
        choices = json.loads((Path(folder) / "run" / "choices.json").read_text())
    means = {
        f"{one['class_name']} {one['measure']}": [
            None if one[key] is None else round(one[key], 4) for key in ("mean", "low", "high")
        ]
        for one in scores["summaries"]
        if one["measure"] in ("dice", "iou")
    }
    return {
        "trained": len(stems) - len(held_out),
        "held_out": len(held_out),
        "scores": means,
        "pooled": pooled,
        "train": spent,
        "predict": predicted,
        "choices": choices,
        "steps": int(curve[-1].split(",")[1]),
        "curve": curve,
    }


def pool_dice(predicted: Path, truth: Path) -> dict[str, float]:
    """The Dice of all pixels of all images taken as one image: large and crowded images count for more."""
    pairs = [(read_mask(path) > 0, read_mask(truth / path.name) > 0) for path in sorted(predicted.glob("*.png"))]
    wrong = sum(int((left != right).sum()) for left, right in pairs)
    found = sum(int((left & right).sum()) for left, right in pairs)
    left_out = sum(int((~left & ~right).sum()) for left, right in pairs)
    return {
        name: round(2 * hit / (2 * hit + wrong), 4) for name, hit in (("foreground", found), ("background", left_out))
    }


def show_interval(low: float | None, high: float | None) -> str:
    """Write an interval; fewer than five cases have none."""
    return "" if low is None or high is None else f"({low:.3f} to {high:.3f})"


def write(results: dict, minutes: float) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "real_images.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        f"`python benchmarks/real_images.py --data DIR --minutes {minutes:g}`, {os.cpu_count()} CPU cores",
        "",
        "| data set | class | Dice, mean (95 % interval) | pooled | IoU | trained, held out | steps | s (CPU s) | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for data, result in results.items():
        steps = result["curve"][-1].split(",")[1]
        for index, name in NAMES[data].items():
            dice, iou = result["scores"][f"{index} dice"], result["scores"][f"{index} iou"]
            lines.append(
                f"| {data} | {name} | {dice[0]:.3f} {show_interval(*dice[1:])} "
                f"| {result['pooled'][index]:.3f} | {iou[0]:.3f} "
                f"| {result['trained']} / {result['held_out']} | {steps} "
                f"| {result['train']['s']:.0f} / {result['train']['cpu_s']:.0f} "
                f"| {result['train']['peak_mb']:.0f} |"
            )
    text = "\n".join(lines) + "\n"
    (RESULTS / "real_images.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
