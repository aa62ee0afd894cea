"""Seconds and CPU seconds of a training step with OpenMP threads that spin, sleep, or do one after the other.

Alone and beside other work, with a net of 16 channels at its first level and with one of 32.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ushape.cli.app import SPINS

RESULTS = Path(__file__).parent / "results"
ROUNDS, STEPS = 3, 8
POLICIES: dict[str, dict[str, str]] = {
    "spin (the runtime's default)": {},
    "sleep at once": {"OMP_WAIT_POLICY": "passive"},
    "spin for a moment, then sleep (as set by ushape)": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": SPINS},
}
BUSY = "import time\nend = time.time() + 600\nwhile time.time() < end: pass"


def main() -> None:
    if len(sys.argv) > 1:
        child(int(sys.argv[1]))
        return
    rows = []
    for width in (16, 32):
        for beside in (0, 1):
            found: dict[str, list[tuple[float, float]]] = {policy: [] for policy in POLICIES}
            for _ in range(ROUNDS):
                for policy, results in found.items():
                    results.append(measure(policy, beside, width))
            rows += [(width, beside, policy, results) for policy, results in found.items()]
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"`python benchmarks/threads.py`, {cores} cores; medians of {ROUNDS} processes of {STEPS} steps each, in turn"
    ]
    head = ["first level", "other busy processes", "waiting threads", "s per step", "CPU s per step"]
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for width, beside, policy, results in rows:
        wall, cpu = (statistics.median(values) for values in zip(*results, strict=True))
        lines.append(f"| {width} channels | {beside} | {policy} | {wall:.3f} | {cpu:.3f} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "threads.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def measure(policy: str, beside: int, width: int) -> tuple[float, float]:
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment |= POLICIES[policy]
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(beside)]
    try:
        command = [sys.executable, __file__, str(width)]
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    finally:
        for other in others:
            other.kill()
            other.wait()
    wall, cpu = map(float, printed.split())
    return wall, cpu


def child(width: int) -> None:
    import torch

    from ushape.nets.blocks import BlockConfig
    from ushape.nets.config import UNetConfig
    from ushape.nets.unet import UNet

    config = UNetConfig(
        widths=tuple(width * 2**level for level in range(4)), block=BlockConfig(norm="batch"), up="linear"
    )
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
