"""The share of a training step that goes into cutting and augmenting patches, with the default net; wall clock.

Every step is made as a training without worker processes makes it: cut, augment, learn, one after the other, in the
precision and layout that are fastest on this machine. A worker process takes the cutting away from this.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from augmentation import RESULTS, SHAPES, make_batch, nnunet_config

from ushape.core.case import Case, Geometry
from ushape.core.layout import lay_out, memory_format
from ushape.losses.compose import Loss, LossConfig
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.patches.augment import AugmentConfig, augment
from ushape.patches.sampler import PatchConfig, cut_step, draw_step
from ushape.patches.store import Store, write_case, write_index
from ushape.train.budget import candidates
from ushape.train.optim import OptimConfig, make_optimizer
from ushape.train.probe import AUTOCAST, Timing, machine_facts, probe_precision, wait_for

CASES = 4
STEPS, WARM_UP = 40, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps per row")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave results/ alone")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    waits = {name: measure(shape, options.steps) for name, shape in SHAPES.items()}
    machine = machine_facts()
    lines = [
        f"`python benchmarks/data_wait.py` on {machine.device_name}, {machine.cores} cores, load {load:.1f} at start"
    ]
    lines += [f"Means of {options.steps} steps, torch {torch.__version__}.", "", *table(waits)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "data_wait.md").write_text(text)
        (RESULTS / "data_wait.json").write_text(json.dumps(waits, indent=1) + "\n")


def measure(shape: tuple[int, ...], steps: int) -> dict[str, Any]:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device, ndim = machine_facts().device, len(shape) - 1
    config = UNetConfig(ndim=ndim, classes=3, widths=(32, 64, 128, 256), up="linear")
    timing = probe_precision(lambda: UNet(config), (shape[0], 1, *shape[1:]), device, candidates(device))[0]
    patches = PatchConfig(size=shape[1:], batch=shape[0])
    net = UNet(config).to(device)
    step = make_step(lay_out(net, ndim) if timing.channels_last else net, timing, device)
    kinds = {"default": AugmentConfig(), "nnU-Net's": nnunet_config(ndim)}
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder), shape[1:])
        rows = {
            kind: [step(store, patches, kinds[kind], number) for number in range(steps + WARM_UP)][WARM_UP:]
            for kind in kinds
        }
    return {"precision": timing.precision, "channels_last": timing.channels_last, "seconds": rows}


def write_store(folder: Path, space: tuple[int, ...]) -> Store:
    """Write cases half as large again as the patch."""
    image, label = make_batch((CASES, *(size * 3 // 2 for size in space)))
    geometry = Geometry.pixels(len(space))
    for i in range(CASES):
        write_case(folder, f"{i}", Case(f"case{i}", image[i].numpy(), geometry, label[i].numpy()))
    write_index(folder, [(f"case{i}", f"{i}") for i in range(CASES)])
    return Store(folder)


def make_step(net: Any, timing: Timing, device: str) -> Callable[..., tuple[float, float, float]]:
    loss, optimizer = Loss(LossConfig()), make_optimizer(net.parameters(), OptimConfig())

    def step(store: Store, patches: PatchConfig, config: AugmentConfig, number: int) -> tuple[float, float, float]:
        times = [time.perf_counter()]
        image, label = map(torch.from_numpy, cut_step(store, draw_step(0, number, store.contents, patches), patches))
        times.append(time.perf_counter())
        image, label = augment(image.to(device), label.to(device), config, (0, number))
        image = image.contiguous(memory_format=memory_format(image, timing.channels_last))
        wait_for(device)
        times.append(time.perf_counter())
        with torch.autocast(device, AUTOCAST.get(timing.precision), enabled=timing.precision in AUTOCAST):
            value = loss(net(image), label)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        wait_for(device)
        times.append(time.perf_counter())
        cut, augmented, learnt = (after - before for before, after in pairwise(times))
        return cut, augmented, learnt

    return step


def table(waits: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "| step | precision | augmentation | cut, ms | augment, ms | learn, ms | share of data |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in waits.items():
        layout = "channels last" if found["channels_last"] else "contiguous"
        for kind, rows in found["seconds"].items():
            cut, augmented, learnt = (statistics.mean(column) for column in zip(*rows, strict=True))
            share = (cut + augmented) / (cut + augmented + learnt)
            numbers = f"{cut * 1e3:.1f} | {augmented * 1e3:.1f} | {learnt * 1e3:.0f} | {share:.1%}"
            lines.append(f"| {name} | {found['precision']}, {layout} | {kind} | {numbers} |")
    return lines


if __name__ == "__main__":
    main()
