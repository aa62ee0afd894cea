"""Smaller models of a model: pruned to half its channels, and a tiny net taught by it, each beside its control.

The model is the default one for DSB 2018, trained here for a few minutes unless `--models` has it. The controls are the
same trainings without what the model gives: the narrow net from random weights, the student without a teacher. What was
done lies in `--folder`; a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from ushape.core.events import describe
from ushape.workflows.compress import CompressRequest
from ushape.workflows.distil import distil_model
from ushape.workflows.prune import prune_model

RESULTS = Path(__file__).parent / "results"
TUNED = "pruned, fine-tuned"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, help="folder with dsb2018.safetensors")
    parser.add_argument("--minutes", type=float, default=5.0, help="to train the model if --models lacks it")
    parser.add_argument("--folder", type=Path, default=Path("runs/compression"), help="for models and measurements")
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--prune-minutes", type=float, default=2.0)
    parser.add_argument("--student", default="tiny")
    parser.add_argument("--distil-minutes", type=float, default=3.0)
    parser.add_argument("--write", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    model, data = options.folder / "dsb2018.safetensors", options.data / "dsb2018"
    if not model.exists():
        get_model(model, data, options)
    write(measure(model, data, options), options)


def get_model(model: Path, data: Path, options: argparse.Namespace) -> None:
    if options.models and (options.models / model.name).exists():
        shutil.copy(options.models / model.name, model)
        return
    train = ["train", data, "-o", options.folder / "model", "--minutes", options.minutes, "--foreground"]
    subprocess.run([sys.executable, "-m", "ushape", *map(str, train)], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(options.folder / "model" / "model.safetensors", model)


def measure(model: Path, data: Path, options: argparse.Namespace) -> dict[str, list[dict]]:
    """Make every smaller model that an earlier call has not made; return the sizes of each on its way."""
    cut, taught = options.prune_minutes, options.distil_minutes
    ways = {
        TUNED: (prune_model, options.keep, cut, {}),
        "the same net from random weights": (prune_model, options.keep, cut, {"train.start": "none"}),
        f"{options.student}, taught": (distil_model, options.student, taught, {}),
        f"{options.student}, from labels only": (distil_model, options.student, taught, {"train.teacher": "none"}),
    }
    found = {}
    for number, (way, (compress, choice, minutes, changes)) in enumerate(ways.items()):
        run, done = options.folder / f"way{number}", options.folder / f"way{number}.json"
        if not done.exists():
            shutil.rmtree(run, ignore_errors=True)
            request = CompressRequest(model, data, run, minutes, changes)
            _, sizes = compress(request, choice, lambda event: print(describe(event), flush=True))
            done.write_text(json.dumps([asdict(size) for size in sizes]), encoding="utf-8")
        found[way] = json.loads(done.read_text(encoding="utf-8"))
    return found


def write(ways: dict[str, list[dict]], options: argparse.Namespace) -> None:
    budget = f"pruned nets are trained for {options.prune_minutes:g} minutes, students for {options.distil_minutes:g}"
    lines = [f"`python benchmarks/compression.py --data DIR`, DSB 2018, {os.cpu_count()} CPU cores; {budget}", ""]
    lines += [
        "| net | parameters | G MACs | file | memory | ms a window | Dice (points) |",
        "|---|---|---|---|---|---|---|",
    ]
    first = ways[TUNED][0]
    rows = {"the model": first, "pruned, before training": ways[TUNED][1]}
    rows |= {way: sizes[-1] for way, sizes in ways.items()}
    for row, size in rows.items():
        dice = f"{size['dice']:.4f} ({(size['dice'] - first['dice']) * 100:+.2f})"
        lines.append(
            f"| {row} | {size['parameters']:,} | {size['macs'] / 1e9:.2f} | {size['bytes'] / 1e6:.2f} MB "
            f"| {size['memory'] / 1e6:.0f} MB | {size['milliseconds']:.1f} | {dice} |"
        )
    options.write.mkdir(exist_ok=True)
    (options.write / "compression.md").write_text("\n".join(lines) + "\n")
    (options.write / "compression.json").write_text(json.dumps(ways, indent=1) + "\n")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
