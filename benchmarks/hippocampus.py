"""Accuracy on MSD task 4 for a budget: train on the first 60 sorted cases, score the last 20, leave others for tuning.

Everything is done by commands, by default settings: `ushape train --minutes M`, `predict`, `evaluate`. CPU seconds are
user and system time of a command's whole process tree, nothing prepared beforehand; peak memory is that of its largest
process. With `--dicom`, a series is predicted with the model too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from prepare import link_cases, measure

from ushape.core.files import read_csv, read_json, write_json

RESULTS = Path(__file__).parent / "results"
USHAPE = [sys.executable, "-m", "ushape"]
TRAINED, TESTED = 60, 20
PEERS = (
    "| nnU-Net v2.8, quoted | 0.811, another time 0.532 | | | 300 | | 672 to 705 | |",
    "| nnU-Net v2.8, full schedule, quoted | about 0.89 | | | 250,000 | 187,000 | | |",
)
HEAD = "| run | mean Dice | {} | steps | training, s | CPU s | peak, MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with Task04_Hippocampus, and dicom")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[5.0], help="one training for each; 3.75 is 450 CPU s"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="one training for each")
    parser.add_argument("--set", action="append", default=[], dest="changes", help="handed on to ushape train")
    parser.add_argument("--dicom", action="store_true", help="also predict a series of DICOM slices")
    parser.add_argument("--keep", type=Path, help="folder for runs and masks, else thrown away")
    options = parser.parse_args()
    load, rows = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as scratch:
        home = options.keep or Path(scratch)
        source = options.data / "Task04_Hippocampus"
        train = home / "train"
        if not train.exists():
            link_cases(source, train, TRAINED)
            link_tests(source, home / "test")
        for minutes in options.minutes:
            for seed in options.seed:
                rows.append(run(home, minutes, seed, options))
                print(json.dumps(rows[-1]), flush=True)
    publish(rows, load)


def link_tests(source: Path, target: Path) -> None:
    """Link the last cases, images and truth apart."""
    listed = sorted(read_json(source / "dataset.json")["training"], key=lambda entry: entry["image"])
    for entry in listed[-TESTED:]:
        for kind, file in (("images", entry["image"]), ("labels", entry["label"])):
            (target / kind).mkdir(parents=True, exist_ok=True)
            (target / kind / Path(file).name).symlink_to((source / file).resolve())


def run(home: Path, minutes: float, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    name = f"m{minutes:g}-s{seed}"
    folder, masks = home / name / "run", home / name / "masks"  # each prepares its cases itself
    changes = [word for change in options.changes for word in ("--set", change)]
    train = [*USHAPE, "train", home / "train", "-o", folder, "--minutes", minutes, "--seed", seed, *changes]
    spent = measure(train)
    predicted = measure([*USHAPE, "predict", folder, home / "test" / "images", "-o", masks])
    scored = [*USHAPE, "evaluate", str(masks), str(home / "test" / "labels"), "--json"]
    scores = json.loads(subprocess.run(scored, check=True, capture_output=True, text=True).stdout)
    row = {
        "minutes": minutes,
        "seed": seed,
        "changes": options.changes,
        "mean_dice": scores["mean_foreground_dice"],
        "dice": {class_name(one): [one[key] for key in ("mean", "low", "high")] for one in dice_of(scores)},
        "steps": int(read_csv(folder / "metrics.csv")[-1]["step"]),
        "train": spent,
        "predict": predicted,
    }
    if options.dicom:
        series = next(path for path in sorted((options.data / "dicom").iterdir()) if path.is_dir())
        row["dicom"] = measure([*USHAPE, "predict", folder, series, "-o", home / name / "dicom"])
    return row


def dice_of(scores: dict[str, Any]) -> list[dict[str, Any]]:
    foreground = [one for one in scores["summaries"] if one["measure"] == "dice"]
    return [one for one in foreground if one["class_name"] not in ("background", "all")]


def class_name(one: dict[str, Any]) -> str:
    names = {"class_1": "anterior", "class_2": "posterior"}
    return names.get(one["class_name"], one["class_name"])


def publish(rows: list[dict[str, Any]], load: float) -> None:
    """Write what this and earlier calls measured; the same budget, seed and changes are measured anew."""
    RESULTS.mkdir(exist_ok=True)
    stored = RESULTS / "hippocampus.json"
    earlier = read_json(stored) if stored.exists() else []
    again = [key(row) for row in rows]
    rows = [row for row in earlier if key(row) not in again] + rows
    write_json(stored, rows)
    classes = list(rows[0]["dice"])
    lines = [
        f"`python benchmarks/hippocampus.py --data DIR`, {os.cpu_count()} cores, load average {load:.1f} at the start."
    ]
    lines += [
        f"Trained on the first {TRAINED} sorted cases, tested on the last {TESTED}; no test-time augmentation.",
        "",
    ]
    lines += [HEAD.format(" | ".join(f"{name} (95 % interval)" for name in classes)), "|---" * (6 + len(classes)) + "|"]
    lines += [show(row, classes) for row in sorted(rows, key=key)]
    lines += [*PEERS, "", *show_prediction(rows[-1])]
    (RESULTS / "hippocampus.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def key(row: dict[str, Any]) -> tuple[list[str], float, int]:
    return row["changes"], row["minutes"], row["seed"]


def show(row: dict[str, Any], classes: list[str]) -> str:
    settings = " ".join(["default" if not row["changes"] else "", *row["changes"]]).strip()
    cells = [f"--minutes {row['minutes']:g} --seed {row['seed']}, {settings}", f"{row['mean_dice']:.4f}"]
    cells += ["{:.3f} ({:.3f} to {:.3f})".format(*row["dice"][name]) for name in classes]
    spent = row["train"]
    cells += [f"{row['steps']:,}", f"{spent['s']:.0f}", f"{spent['cpu_s']:.0f}", f"{spent['peak_mb']:.0f}"]
    return f"| {' | '.join(cells)} |"


def show_prediction(row: dict[str, Any]) -> list[str]:
    parts = {f"{TESTED} cases": row["predict"]}
    if "dicom" in row:
        parts["a DICOM series, written as NIfTI"] = row["dicom"]
    lines = [
        f"Prediction of {what}, whole command: {one['s']:.1f} s, {one['cpu_s']:.1f} CPU s, {one['peak_mb']:.0f} MB."
        for what, one in parts.items()
    ]
    return [*lines, "nnU-Net predicts 10 cases without mirroring in 20.3 s and 4.0 GB (quoted)."]


if __name__ == "__main__":
    main()
