"""Seconds from nothing to an answer, for the commands that must be quick. Medians over several runs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
RUNS = 9
INFO = [sys.executable, "-m", "ushape", "info"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import ushape": [sys.executable, "-c", "import ushape"],
            "ushape --help": [sys.executable, "-m", "ushape", "--help"],
            "ushape info MODEL": [*INFO, str(model)],
            "ushape info preset:attention-3d --size 64,64,64": [*INFO, "preset:attention-3d", "--size", "64,64,64"],
            "import torch": [sys.executable, "-c", "import torch"],
        }
        rows = {name: measure(command) for name, command in commands.items()}
    lines = ["`python benchmarks/start_up.py`", "", "| command | median s | spread s |", "|---|---|---|"]
    lines += [f"| {name} | {mid:.2f} | {low:.2f} to {high:.2f} |" for name, (mid, low, high) in rows.items()]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "start_up.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "start_up.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(lines))


def make_model(folder: Path) -> Path:
    data, run = folder / "data", folder / "run"
    ushape = [sys.executable, "-m", "ushape"]
    subprocess.run([*ushape, "data", "synth", "nuclei", "-o", str(data), "--count", "4", "--size", "64"], check=True)
    tiny = ["--epochs", "1", "--set", "train.steps_per_epoch=2", "--set", "net.widths=[8,16]"]
    subprocess.run([*ushape, "train", str(data), "-o", str(run), *tiny], check=True)
    return run / "model.safetensors"


def measure(command: list[str]) -> tuple[float, float, float]:
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    counted = times[1:]
    return statistics.median(counted), min(counted), max(counted)


if __name__ == "__main__":
    main()
