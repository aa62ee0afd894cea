"""Seconds from nothing to an answer, for the commands that must be quick. Medians over several runs.

With `--data DIR` also from `ushape train` to its first step, by default settings, nothing prepared beforehand: until
the program has told that the step is done; then it is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prepare import link_cases

RESULTS = Path(__file__).parent / "results"
RUNS = 9
INFO = [sys.executable, "-m", "ushape", "info"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with Task04_Hippocampus, isbi2012, dsb2018")
    parser.add_argument("--only-first-step", action="store_true", help="keep what was measured of the other commands")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    load, stored = os.getloadavg()[0], RESULTS / "start_up.json"
    rows = json.loads(stored.read_text()) if options.only_first_step else measure_commands(options.runs)
    if options.data:
        rows |= measure_first_steps(options.data, options.runs)
    write(rows, load)


def measure_commands(runs: int) -> dict[str, tuple[float, float, float]]:
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
        return {name: measure(command, runs) for name, command in commands.items()}


def measure_first_steps(data: Path, runs: int) -> dict[str, tuple[float, float, float]]:
    """Measure the time to the first step on three data sets, of which hippocampus has 60 cases."""
    with tempfile.TemporaryDirectory() as folder:
        volumes = link_cases(data / "Task04_Hippocampus", Path(folder) / "hippocampus", 60)
        sets = {"hippocampus, 60 volumes": [volumes], "ISBI 2012, 24 images": [data / "isbi2012"]}
        sets["DSB 2018, 440 images"] = [data / "dsb2018", "--foreground"]
        return {
            f"ushape train, to the first step: {name}": spread([first_step(words, folder) for _ in range(runs)])
            for name, words in sets.items()
        }


def first_step(words: list[object], folder: str) -> float:
    """Return the seconds until a training has told that its first step is done."""
    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    command = [sys.executable, "-m", "ushape", "train", *map(str, words), "-o", str(run), "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if json.loads(line).get("stage") == "train":
                return time.perf_counter() - started
    finally:
        process.kill()
        process.wait()
    raise SystemExit(f"{' '.join(command)} ended before its first step")


def write(rows: dict[str, tuple[float, float, float]], load: float) -> None:
    head = f"`python benchmarks/start_up.py --data DIR`, load average {load:.1f} at the start; other work slows all."
    lines = [head, "", "| command | median s | spread s |", "|---|---|---|"]
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


def measure(command: list[str], runs: int) -> tuple[float, float, float]:
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return spread(times[1:])


def spread(times: list[float]) -> tuple[float, float, float]:
    """Return median, lowest and highest."""
    return statistics.median(times), min(times), max(times)


if __name__ == "__main__":
    main()
