"""Training steps per second and peak memory of the default networks, in each precision and memory layout.

Each row in a process of its own. What a precision does to Dice: `ablations.py --only precision`.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from ushape.core.layout import memory_format
from ushape.losses.compose import Loss, LossConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.train.budget import candidates
from ushape.train.optim import OptimConfig, make_optimizer
from ushape.train.probe import AUTOCAST, machine_facts

RESULTS = Path(__file__).parent / "results"
NETS = {
    "2D, 4x256x256, widths 32..256": (
        UNetConfig(widths=(32, 64, 128, 256, 256), block=BlockConfig(norm="batch")),
        (4, 1, 256, 256),
    ),
    "3D, 2x40x56x40, widths 32..256": (UNetConfig(ndim=3, widths=(32, 64, 128, 256)), (2, 1, 40, 56, 40)),
}
STEPS = 5


def main() -> None:
    machine, load = machine_facts(), os.getloadavg()[0]
    lines = [
        f"`python benchmarks/precision.py` on {machine.device_name}, {machine.cores} cores, load {load:.1f} at start"
    ]
    lines += [
        "",
        "| net and batch | precision | layout | steps per second (min to max) | ratio to float32 | peak, MB |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    record = {}
    for name, (config, shape) in NETS.items():
        rows = {choice: apart(config, shape, machine.device, *choice) for choice in candidates(machine.device)}
        base = statistics.median(rows["float32", False][0])
        for (precision, last), (times, peak) in sorted(rows.items(), key=lambda row: (row[0][0] != "float32", row[0])):
            mid = statistics.median(times)
            layout = "channels last" if last else "contiguous"
            pace = f"{1 / mid:.2f} ({1 / max(times):.2f} to {1 / min(times):.2f})"
            lines.append(f"| {name} | {precision} | {layout} | {pace} | {base / mid:.1f} | {peak:.0f} |")
            record[f"{name} | {precision} | {layout}"] = {"seconds": times, "peak_mb": peak}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "precision.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "precision.json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines))


def apart(*arguments: object) -> tuple[list[float], float]:
    """Measure in a process of its own, whose peak of memory is this row's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def measure(
    config: UNetConfig, shape: tuple[int, ...], device: str, precision: str, channels_last: bool
) -> tuple[list[float], float]:
    """Return the seconds of whole training steps, after one that is not counted, and the peak of memory in MB."""
    torch.manual_seed(0)
    image = torch.randn(shape, device=device)
    layout = memory_format(image, channels_last)
    image = image.contiguous(memory_format=layout)
    label = torch.randint(config.classes, (shape[0], *shape[2:]), device=device)
    net = UNet(config).to(device).to(memory_format=layout)
    loss, optimizer = Loss(LossConfig()), make_optimizer(net.parameters(), OptimConfig())
    times = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        with torch.autocast(device, AUTOCAST.get(precision), enabled=precision in AUTOCAST):
            value = loss(net(image), label)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    if device == "cuda":
        return times[1:], torch.cuda.max_memory_allocated() / 1e6
    return times[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
