"""Turn a budget of minutes into a number of steps, by measurement, before the first step."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ushape.core.errors import ConfigError
from ushape.core.layout import lay_out, layout_name, memory_format
from ushape.patches.augment import augment
from ushape.patches.sampler import cut_step, draw_step
from ushape.train.clock import Budget
from ushape.train.config import Choices
from ushape.train.memory import advise_on_memory
from ushape.train.optim import make_optimizer
from ushape.train.parts import Parts
from ushape.train.probe import AUTOCAST, Timing, carry_on, choose_device, probe_precision, wait_for
from ushape.train.step import compute_loss

SMALLEST_EPOCH = 50
VALIDATION_SHARE = 0.2
FEWEST_STEPS = 10
OVERHEAD = 1.05  # of the training loop over a bare step
ENOUGH = 1.0
"""Seconds after which a measurement is not repeated."""


def make_choices(parts: Parts, budget: Budget | None) -> Choices:
    """Measure the machine and decide on precision, layout and the number of steps.

    Args:
        budget: of time; None takes the configured number of epochs.
    Raises:
        ConfigError: the budget is too short for a training, or the device or precision is not to be had.
        TrainingError: memory ran out.
    """
    with advise_on_memory(parts.patches):
        device = choose_device(parts.config.device)
        if parts.config.strategy == "fsdp" and device != "cuda":
            raise ConfigError(f"train.strategy: 'fsdp' needs GPUs, got {device}; take 'ddp', which keeps the whole net")
        check = budget.check if budget else carry_on
        check()
        fastest = choose_timing(parts, device, check)
        fixed = parts.config.steps_per_epoch
        steps = epoch_steps(len(parts.cases), parts.patches.batch) if fixed == "auto" else fixed
        epochs, step, validation = parts.config.epochs, 0.0, 0.0
        if budget is not None:
            step = time_real_step(_share_of(parts), fastest, device, check) * OVERHEAD
            validation = time_validation(parts, device, check)
            fewest = FEWEST_STEPS if fixed == "auto" else steps
            least = f"{fewest} steps of {step:.2g} s and two validations of {validation:.2g} s"
            budget.require(fewest * step + 2 * validation, least)  # the report predicts once more
            epochs, steps = spread_budget(budget.left - validation, step, validation, steps, fixed=fixed != "auto")
    return Choices(
        device=device,
        precision=fastest.precision,
        channels_last=fastest.channels_last,
        steps_per_epoch=steps,
        epochs=epochs,
        seconds_per_step=step,
        seconds_per_validation=validation,
    )


def _share_of(parts: Parts) -> Parts:
    """Return what one of several processes trains on."""
    patches = parts.patches.model_copy(update={"batch": parts.patches.batch // parts.config.ranks})
    return replace(parts, patches=patches, config=parts.config.model_copy(update={"devices": 1, "nodes": 1}))


def epoch_steps(cases: int, batch: int) -> int:
    """Return the steps of an epoch: one patch per case, at least 50 steps.

    >>> epoch_steps(16, 4), epoch_steps(400, 4)
    (50, 100)
    """
    return max(SMALLEST_EPOCH, math.ceil(cases / batch))


def spread_budget(seconds: float, step: float, validation: float, steps: int, *, fixed: bool) -> tuple[int, int]:
    """Split a budget into epochs: validation takes at most `VALIDATION_SHARE` of it, and no time is left over.

    Args:
        seconds: enough for one validation and a few steps.
        step: seconds of one training step.
        validation: seconds of one validation.
        steps: the least steps an epoch should have; exactly so many if `fixed`.
    Returns:
        Epochs, and steps per epoch.

    >>> spread_budget(300.0, 0.5, 5.0, 50, fixed=False)
    (10, 50)
    >>> spread_budget(300.0, 0.5, 50.0, 50, fixed=False)
    (1, 500)
    """
    if not fixed:
        steps = max(steps, FEWEST_STEPS, math.ceil(validation * (1 - VALIDATION_SHARE) / VALIDATION_SHARE / step))
    shortest = steps if fixed else FEWEST_STEPS
    epochs = max(1, int(seconds / (steps * step + validation)))
    if not fixed:
        steps = max(shortest, int((seconds - epochs * validation) / (epochs * step)))
    return epochs, steps


def choose_timing(parts: Parts, device: str, check: Callable[[], None] = carry_on) -> Timing:
    """Pick the precision and the layout: as configured, or else the fastest."""
    config = parts.config
    wanted = [
        (precision, last)
        for precision, last in candidates(device)
        if config.precision in ("auto", precision) and config.layout in ("auto", layout_name(channels_last=last))
    ]
    if not wanted:
        asked = f"precision {config.precision!r} in layout {config.layout!r}"
        raise ConfigError(f"train: {asked} does not run on {device}; set train.precision to float32 or bf16, or auto")
    if len(wanted) == 1:
        return Timing(wanted[0][0], channels_last=wanted[0][1], seconds=math.nan)
    shape = (parts.patches.batch, parts.cases[0].image.shape[0], *parts.patches.size)
    return probe_precision(lambda: copy.deepcopy(parts.net), shape, device, wanted, check)[0]


def candidates(device: str) -> list[tuple[str, bool]]:
    """List the precisions and layouts that a device has, as (precision, whether channels-last).

    The layout that is mostly the faster one comes first. fp16 on a CPU is refused: lightning would quietly take bf16.
    MPS is taken at its safest.
    """
    precisions = {"cuda": ("float32", "bf16", "fp16"), "cpu": ("float32", "bf16"), "mps": ("float32",)}
    layouts = (False,) if device == "mps" else (True, False)
    return [(precision, last) for last in layouts for precision in precisions[device]]


def time_real_step(
    parts: Parts, timing: Timing, device: str, check: Callable[[], None] = carry_on, *, repeats: int = 30
) -> float:
    """Return the median seconds of some training steps on real patches, after one that is not counted.

    They are repeated until they have taken `ENOUGH` seconds, `repeats` times at most: a few short ones say little where
    something else begins or ends beside them. `check` is asked before each.
    """
    net, loss = copy.deepcopy(parts.net).to(device).train(), copy.deepcopy(parts.loss).to(device)
    net = lay_out(net, len(parts.patches.size)) if timing.channels_last else net
    optimizer = make_optimizer(net.parameters(), parts.config.optim)
    times: list[float] = []
    for step in range(repeats + 1):
        if sum(times[1:]) > ENOUGH:
            break
        check()
        started = time.perf_counter()
        batch = _make_batch(parts, step, device, channels_last=timing.channels_last)
        with torch.autocast(device, AUTOCAST.get(timing.precision), enabled=timing.precision in AUTOCAST):
            value = compute_loss(net, loss, parts.watch_gates, batch)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # torch's stubs lack it
        optimizer.step()
        wait_for(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _make_batch(parts: Parts, step: int, device: str, *, channels_last: bool) -> dict[str, Tensor]:
    images, labels = cut_step(parts.cases, draw_step(0, step, parts.cases.contents, parts.patches), parts.patches)
    image, label = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    image, label = augment(image, label, parts.augment, (0, step))
    return {"image": image.contiguous(memory_format=memory_format(image, channels_last)), "label": label}


def time_validation(parts: Parts, device: str, check: Callable[[], None] = carry_on, *, most: int = 4) -> float:
    """Estimate the seconds of one validation: the time per voxel of a few of its cases, times the voxels of all.

    After `ENOUGH` seconds no further case is tried; `check` is asked before each.
    """
    cases = parts.validator.cases
    sizes = [cases[i].label.size for i in range(len(cases))]
    if not sizes:
        return 0.0
    tried = sorted({i * len(cases) // most for i in range(most)})
    net = copy.deepcopy(parts.net).to(device)
    check()
    parts.validator.score(net, cases[0].as_case())
    started, seconds, voxels = time.perf_counter(), 0.0, 0
    for i in tried:
        if seconds < ENOUGH:
            check()
            parts.validator.score(net, cases[i].as_case())
            seconds, voxels = time.perf_counter() - started, voxels + sizes[i]
    return seconds / voxels * sum(sizes)
