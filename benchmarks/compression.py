"""Smaller models of a model: pruned to half its channels, and a tiny net taught by it, each beside its control.

The controls are the same trainings without what the model gives: the narrow net from random weights, the student
without a teacher.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from ushape.core.events import describe
from ushape.workflows.compress import CompressRequest
from ushape.workflows.distil import distil_model
from ushape.workflows.prune import prune_model

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, action="append", required=True, metavar=("NAME", "MODEL", "DATA"))
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--prune-minutes", type=float, default=2.0)
    parser.add_argument("--student", default="tiny")
    parser.add_argument("--distil-minutes", type=float, default=5.0)
    parser.add_argument("--write", type=Path, default=RESULTS)
    options = parser.parse_args()
    record = {}
    for name, model, data in options.case:
        record[name] = measure(Path(model), Path(data), options)
        write(record, options)


def measure(model: Path, data: Path, options: argparse.Namespace) -> dict[str, list[dict]]:
    cut, taught = options.prune_minutes, options.distil_minutes
    ways = {
        "pruned, fine-tuned": (prune_model, options.keep, cut, {}),
        "the same net from random weights": (prune_model, options.keep, cut, {"train.start": "none"}),
        f"{options.student}, taught": (distil_model, options.student, taught, {}),
        f"{options.student}, from labels only": (distil_model, options.student, taught, {"train.teacher": "none"}),
    }
    found = {}
    for way, (compress, choice, minutes, changes) in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            request = CompressRequest(model, data, Path(folder) / "run", minutes, changes)
            _, sizes = compress(request, choice, lambda event: print(describe(event), flush=True))
        found[way] = [asdict(size) for size in sizes]
    return found


def write(record: dict, options: argparse.Namespace) -> None:
    budget = f"pruned nets are trained for {options.prune_minutes:g} minutes, students for {options.distil_minutes:g}"
    lines = [f"`python benchmarks/compression.py --case NAME MODEL DATA ...`, {os.cpu_count()} CPU cores; {budget}"]
    for name, ways in record.items():
        lines += [
            "",
            f"**{name}**",
            "",
            "| net | parameters | G MACs | file | memory | ms a window | Dice |",
            "|---|---|---|---|---|---|---|",
        ]
        first = next(iter(ways.values()))[0]
        rows = {"the model": first}
        for way, sizes in ways.items():
            rows |= {f"{way}, before training": size for size in sizes if size["name"] == "cut" and "fine" in way}
            rows[way] = sizes[-1]
        for row, size in rows.items():
            dice = f"{size['dice']:.4f} ({(size['dice'] - first['dice']) * 100:+.2f})"
            lines.append(
                f"| {row} | {size['parameters']:,} | {size['macs'] / 1e9:.2f} | {size['bytes'] / 1e6:.2f} MB "
                f"| {size['memory'] / 1e6:.0f} MB | {size['milliseconds']:.1f} | {dice} |"
            )
    options.write.mkdir(exist_ok=True)
    (options.write / "compression.md").write_text("\n".join(lines) + "\n")
    (options.write / "compression.json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
