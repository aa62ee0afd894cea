"""Accuracy against CPU seconds: hippocampus, ISBI 2012 and DSB 2018, three budgets each, by default settings.

Each point is one `ushape train --minutes M` with M so that all cores together have the CPU seconds asked for, scored on
cases never seen: as `hippocampus.py` and `real_images.py` do. CPU seconds and peak memory are measured, of the whole
command. nnU-Net's points are those of `nnunet_peer.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import hippocampus
import real_images
from prepare import link_cases

from ushape.core.files import read_json, write_json

RESULTS = Path(__file__).parent / "results"
BUDGETS = (150.0, 450.0, 1350.0)
DATA_SETS = ("hippocampus", "isbi2012", "dsb2018")
OURS, THEIRS = "#1f6feb", "#d1570a"
SCORED = {"hippocampus": "mean of both classes", "isbi2012": "membrane", "dsb2018": "nucleus"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with Task04_Hippocampus, isbi2012, dsb2018")
    parser.add_argument("--cpu-seconds", type=float, nargs="+", default=BUDGETS, help="one training for each")
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=DATA_SETS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stored, load = RESULTS / "budgets.json", os.getloadavg()[0]
    rows = read_json(stored) if stored.exists() else []
    for name in options.only:
        for budget in options.cpu_seconds:
            row = {"data": name, "asked_cpu_s": budget, "seed": options.seed, "load": load}
            row |= measure(name, budget / 60 / len(os.sched_getaffinity(0)), options)
            print(json.dumps(row), flush=True)
            rows = [one for one in rows if key(one) != key(row)] + [row]
            write_json(stored, sorted(rows, key=key))
    write(sorted(rows, key=key))


def key(row: dict[str, Any]) -> tuple[int, float, int]:
    return DATA_SETS.index(row["data"]), row["asked_cpu_s"], row["seed"]


def measure(name: str, minutes: float, options: argparse.Namespace) -> dict[str, Any]:
    """Train once and score; return Dice, steps, seconds, CPU seconds and peak memory."""
    with tempfile.TemporaryDirectory() as scratch:
        if name == "hippocampus":
            return measure_volumes(Path(scratch), minutes, options)
        split, masks = {"isbi2012": (real_images.split_isbi, "masks"), "dsb2018": (real_images.split_dsb, "labels")}[
            name
        ]
        chosen = argparse.Namespace(minutes=minutes, keep=None, seed=options.seed)
        found = real_images.run(options.data / name, masks, split, chosen)
        index = next(index for index, known in real_images.NAMES[name].items() if known == SCORED[name])
        return {"dice": found["scores"][f"{index} dice"][0], "steps": found["steps"], "train": found["train"]}


def measure_volumes(home: Path, minutes: float, options: argparse.Namespace) -> dict[str, Any]:
    source = options.data / "Task04_Hippocampus"
    link_cases(source, home / "train", hippocampus.TRAINED)
    hippocampus.link_tests(source, home / "test")
    chosen = argparse.Namespace(changes=[], dicom=False, data=options.data)
    row = hippocampus.run(home, minutes, options.seed, chosen)
    return {"dice": row["mean_dice"], "steps": row["steps"], "train": row["train"]}


def write(rows: list[dict[str, Any]]) -> None:
    lines = [f"`python benchmarks/budgets.py --data DIR`: default settings, {os.cpu_count()} cores.", ""]
    lines += ["| data set | Dice of | CPU s asked | CPU s taken | s | steps | peak, MB | Dice | load at the start |"]
    lines += ["|---|---|---|---|---|---|---|---|---|", *map(show, rows)]
    (RESULTS / "budgets.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    peer = RESULTS / "nnunet_peer.json"
    draw(rows, read_json(peer).get("accuracy", []) if peer.exists() else [])


def show(row: dict[str, Any]) -> str:
    spent = row["train"]
    cells = [
        row["data"],
        SCORED[row["data"]],
        f"{row['asked_cpu_s']:.0f}",
        f"{spent['cpu_s']:.0f}",
        f"{spent['s']:.0f}",
    ]
    cells += [f"{row['steps']:,}", f"{spent['peak_mb']:.0f}", f"{row['dice']:.4f}", f"{row['load']:.1f}"]
    return f"| {' | '.join(cells)} |"


def draw(rows: list[dict[str, Any]], peers: list[dict[str, Any]]) -> None:
    """Draw Dice over CPU seconds, one panel for each data set."""
    from matplotlib.figure import Figure

    names = [name for name in DATA_SETS if any(row["data"] == name for row in rows)]
    figure = Figure(figsize=(4 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        ours = [row for row in rows if row["data"] == name]
        panel.plot([row["train"]["cpu_s"] for row in ours], [row["dice"] for row in ours], "o", color=OURS)
        panel.plot(*means(ours), "-", color=OURS, label="ushape, default settings")
        if name == "hippocampus" and peers:
            theirs = [(row["prepare"]["cpu_s"] + row["train"]["cpu_s"], row["mean_dice"]) for row in peers]
            panel.plot(*zip(*theirs, strict=True), "s--", color=THEIRS, label="nnU-Net, fewer steps")
        panel.set(xscale="log", xlabel="CPU seconds, whole command", title=f"{name}: {SCORED[name]}")
        panel.set_xticks(BUDGETS, [f"{budget:.0f}" for budget in BUDGETS], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("Dice on cases never seen")
    panels[0].legend(loc="center right", fontsize=8)
    figure.savefig(RESULTS / "budgets.png", dpi=120)


def means(rows: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the mean CPU seconds and the mean Dice of all seeds, by budget."""
    asked = sorted({row["asked_cpu_s"] for row in rows})
    same = [[row for row in rows if row["asked_cpu_s"] == budget] for budget in asked]
    spent = [fmean(row["train"]["cpu_s"] for row in each) for each in same]
    return spent, [fmean(row["dice"] for row in each) for each in same]


if __name__ == "__main__":
    main()
