"""What single choices of a recipe are worth: Dice on unseen synthetic nuclei, with seeds and spread, and time.

All trainings have the same steps, patches and seeds; each variant changes one field of the plan. Differences within
the spread of the seeds say nothing. Cheap by design: small nets, few steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import ushape
from ushape.io.synthetic import write_nuclei
from ushape.train.probe import machine_facts

RESULTS = Path(__file__).parent / "results"
SMALL = {
    "net.widths": [16, 32, 64],
    "net.strides": [],
    "net.kernels": [],
    "patches.size": [96, 96],
    "patches.batch": 4,
    "train.minutes": "none",
    "train.epochs": 1,
    "train.precision": "float32",
    "train.layout": "contiguous",
    "data.fold": "none",
}
OFF = {f"augment.warp.{name}": 0.0 for name in ("rotation", "scale", "shear", "elastic", "grid_distortion")}
OFF |= {f"augment.shade.{name}": 0.0 for name in ("noise", "blur", "brightness", "contrast", "gamma", "low_resolution")}
LOSSES: dict[str, dict[str, Any]] = {
    "ce + dice (default)": {},
    "ce": {"loss.dice.weight": 0},
    "dice": {"loss.ce.weight": 0},
    "focal": {"loss.ce.weight": 0, "loss.dice.weight": 0, "loss.focal.weight": 1},
    "tversky": {"loss.ce.weight": 0, "loss.dice.weight": 0, "loss.tversky.weight": 1},
}
SCHEDULES = ("cosine", "poly", "fixed", "step", "one_cycle", "cyclic")
ABLATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "upsampling": {up: {"net.up": up} for up in ("linear", "nearest", "transpose", "shuffle")},
    "schedule": {name: {"train.optim.schedule": name} for name in SCHEDULES},
    "loss": LOSSES,
    "precision": {name: {"train.precision": name} for name in ("float32", "bf16")},
    "augmentation": {
        "on": {},
        "movements and shades off": OFF,
        "all off": {**OFF, "augment.warp.flip": False, "augment.warp.rotate90": False},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(ABLATIONS), help="one group of variants")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    stored = RESULTS / "ablations.json"
    record = json.loads(stored.read_text()) if options.only and stored.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        seen, unseen = Path(folder) / "seen", Path(folder) / "unseen"
        write_nuclei(seen, count=12, seed=1)
        write_nuclei(unseen, count=12, seed=2)
        for group in [options.only] if options.only else ABLATIONS:
            rows = {}
            for name, changes in ABLATIONS[group].items():
                chosen = {**SMALL, **changes, "train.steps_per_epoch": options.steps}
                rows[name] = [run(seen, unseen, Path(folder), chosen, seed) for seed in range(options.seeds)]
                print(group, name, rows[name], flush=True)
            record[group] = {"steps": options.steps, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    stored.write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "ablations.md").write_text(as_table(record))
    print(as_table(record))


def run(seen: Path, unseen: Path, folder: Path, changes: dict[str, Any], seed: int) -> dict[str, float]:
    """Train once; return the Dice on unseen images and the CPU and wall seconds."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        started, cpu = time.perf_counter(), time.process_time()
        model = ushape.train(seen, f"{place}/run", changes={**changes, "train.seed": seed}, foreground=True)
        spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
        ushape.predict_folder(model, unseen, f"{place}/masks")
        table = ushape.evaluate(f"{place}/masks", unseen, foreground=True)
    return {"dice": table.foreground_dice, **spent}


def as_table(record: dict[str, Any]) -> str:
    machine = machine_facts()
    lines = [f"`python benchmarks/ablations.py` on {machine.device_name}, {machine.cores} cores", ""]
    lines += ["| what | variant | Dice, mean (std over seeds) | lowest to highest | CPU seconds | steps |"]
    lines += ["|---|---|---|---|---|---|"]
    for group, found in record.items():
        for name, runs in found["rows"].items():
            dice = [run["dice"] for run in runs]
            spread = statistics.stdev(dice) if len(dice) > 1 else float("nan")
            cpu = statistics.mean(run["cpu_seconds"] for run in runs)
            cells = f"{statistics.mean(dice):.3f} ({spread:.3f}) | {min(dice):.3f} to {max(dice):.3f}"
            lines.append(f"| {group} | {name} | {cells} | {cpu:.0f} | {found['steps']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
