"""Training steps per second of the default networks, in each precision and memory layout of this machine."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import torch

from ushape.losses.compose import Loss, LossConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.train.budget import candidates
from ushape.train.module import memory_format
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
    machine = machine_facts()
    lines = [
        f"`python benchmarks/precision.py` on {machine.device_name}, {machine.cores} cores, torch {torch.__version__}"
    ]
    lines += ["", "| net and batch | precision | layout | steps per second (min to max) | ratio to float32 |"]
    lines += ["|---|---|---|---|---|"]
    record = {}
    for name, (config, shape) in NETS.items():
        rows = {choice: measure(config, shape, machine.device, *choice) for choice in candidates(machine.device)}
        base = statistics.median(rows["float32", False])
        for (precision, last), times in rows.items():
            mid = statistics.median(times)
            layout = "channels last" if last else "contiguous"
            spread = f"{1 / mid:.2f} ({1 / max(times):.2f} to {1 / min(times):.2f})"
            lines.append(f"| {name} | {precision} | {layout} | {spread} | {base / mid:.1f} |")
            record[f"{name} | {precision} | {layout}"] = times
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "precision.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "precision.json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines))


def measure(
    config: UNetConfig, shape: tuple[int, ...], device: str, precision: str, channels_last: bool
) -> list[float]:
    """Return the seconds of whole training steps, after one that is not counted."""
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
    return times[1:]


if __name__ == "__main__":
    main()
