"""Seconds and CPU seconds of a training step with OpenMP threads that spin or sleep, alone and beside other work."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROUNDS, STEPS = 3, 8
BUSY = "import time\nend = time.time() + 600\nwhile time.time() < end: pass"


def main() -> None:
    if len(sys.argv) > 1:
        child()
        return
    rows = []
    for beside in (0, 1):
        found: dict[str, list[tuple[float, float]]] = {"active": [], "passive": []}
        for _ in range(ROUNDS):
            for policy, results in found.items():
                results.append(measure(policy, beside))
        rows += [(beside, policy, results) for policy, results in found.items()]
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"`python benchmarks/threads.py`, {cores} cores; medians of {ROUNDS} processes of {STEPS} steps each, in turn"
    ]
    lines += ["", "| other busy processes | waiting threads | s per step | CPU s per step |", "|---|---|---|---|"]
    for beside, policy, results in rows:
        wall, cpu = (statistics.median(values) for values in zip(*results, strict=True))
        name = {"active": "spin (the runtime's default)", "passive": "sleep (as set by ushape)"}[policy]
        lines.append(f"| {beside} | {name} | {wall:.2f} | {cpu:.2f} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "threads.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measure(policy: str, beside: int) -> tuple[float, float]:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    if policy == "passive":
        environment["OMP_WAIT_POLICY"] = policy
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(beside)]
    try:
        command = [sys.executable, __file__, "child"]
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    finally:
        for other in others:
            other.kill()
            other.wait()
    wall, cpu = map(float, printed.split())
    return wall, cpu


def child() -> None:
    import torch

    from ushape.nets.blocks import BlockConfig
    from ushape.nets.config import UNetConfig
    from ushape.nets.unet import UNet

    config = UNetConfig(widths=(32, 64, 128, 256), block=BlockConfig(norm="batch"), up="linear")
    net = UNet(config).to(memory_format=torch.channels_last)
    image = torch.randn(4, 1, 192, 192).contiguous(memory_format=torch.channels_last)
    walls, used = [], []
    for _ in range(STEPS + 1):
        started, before = time.perf_counter(), cpu_seconds()
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(image)
        logits.float().square().mean().backward()
        walls.append(time.perf_counter() - started)
        used.append(cpu_seconds() - before)
    print(statistics.median(walls[1:]), statistics.median(used[1:]))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
