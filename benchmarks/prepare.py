"""Seconds, CPU seconds and peak memory of planning and preparing 60 volumes: the whole command, cold and once again.

The first 60 sorted cases of MSD task 4 are linked into a data set of their own. `ushape train --prepare-only` looks at
every file, plans, and prepares every case; the second time it finds them prepared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ushape.core.files import read_json, write_json

RESULTS = Path(__file__).parent / "results"
CASES = 60
PEER = "| nnU-Net v2.8, plan + preprocess, same cases, quoted from its trial on two cores | 31 | | 1600 |"
WRAP = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with Task04_Hippocampus")
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        data = link_cases(options.data / "Task04_Hippocampus", Path(scratch) / "data", options.cases)
        command = [sys.executable, "-m", "ushape", "train", data, "-o", f"{scratch}/run", "--prepare-only"]
        rows = {name: measure(command) for name in ("ushape, the first time", "ushape, again")}
    lines = [f"`python benchmarks/prepare.py --data DIR`: {options.cases} cases, {os.cpu_count()} cores."]
    lines += [f"Load average {load:.1f} when it began: above 0, other work ran beside it.", ""]
    lines += ["| whole command | s | CPU s | peak memory, MB |", "|---|---|---|---|"]
    lines += [f"| {name} | {row['s']:.1f} | {row['cpu_s']:.1f} | {row['peak_mb']:.0f} |" for name, row in rows.items()]
    lines += [PEER]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "prepare.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "prepare.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(lines))


def link_cases(source: Path, target: Path, count: int) -> Path:
    """Link the first cases of a Decathlon data set into one of their own."""
    listed = read_json(source / "dataset.json")
    chosen = sorted(listed["training"], key=lambda entry: entry["image"])[:count]
    for entry in chosen:
        for file in entry.values():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).symlink_to((source / file).resolve())
    write_json(target / "dataset.json", {**listed, "training": chosen, "numTraining": len(chosen)})
    return target


def measure(command: list[object]) -> dict[str, float]:
    """Run a command; return its wall and CPU seconds and the largest peak of its processes."""
    started, before = time.perf_counter(), os.times()
    words = [sys.executable, "-c", WRAP, *map(str, command)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"s": time.perf_counter() - started, "cpu_s": cpu, "peak_mb": int(done.stdout) * 1024 / 1e6}


if __name__ == "__main__":
    main()
