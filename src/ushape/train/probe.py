"""Measure the machine before training: what it has, and which precision and layout are fast on it."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ushape.core.config import choose
from ushape.core.cores import usable_cores
from ushape.core.errors import ConfigError
from ushape.core.layout import lay_out, memory_format

ROUNDS = 2
FAR_BEHIND = 1.5
SETTLING = 0.2
"""CPU seconds by which a first pass may take longer than others: it starts threads and makes kernels."""
TRIAL_VOXELS = 2**17
"""Of a trial batch, where a patch is not larger: fewer hide what a precision gains, more only take time."""
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
DEVICES: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}
"""Whether torch sees a device; "auto" takes the first that it does."""


@dataclass(frozen=True)
class MachineFacts:
    """What a machine has.

    Attributes:
        device: "cpu", "cuda" or "mps".
        device_name: as its maker calls it.
        cores: CPU cores this process may use.
        memory_gb: of the training device.
    """

    device: str
    device_name: str
    cores: int
    memory_gb: float


@dataclass(frozen=True)
class Timing:
    """The time of one training step.

    Attributes:
        seconds: of computing, the shortest of some; on a CPU those of all its threads, of this program alone.
    """

    precision: str
    channels_last: bool
    seconds: float


def machine_facts(device: str = "auto") -> MachineFacts:
    """Look at the machine and its training device.

    Raises:
        ConfigError: the device is unknown, or not there.
    """
    device = choose_device(device)
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return MachineFacts(device, properties.name, usable_cores(), round(properties.total_memory / 2**30, 1))
    return MachineFacts(device, _cpu_name(), usable_cores(), round(_memory_bytes() / 2**30, 1))


def choose_device(device: str) -> str:
    """Return the device to compute on; "auto" takes a GPU if torch sees one.

    Raises:
        ConfigError: the device is unknown, or not there.

    >>> choose_device("gpu")
    Traceback (most recent call last):
    ushape.core.errors.ConfigError: unknown device 'gpu'; did you mean 'cpu'? choose one of: auto, cuda, mps, cpu
    """
    if device == "auto":
        return next(name for name, is_there in DEVICES.items() if is_there())
    is_there = choose(device, {"auto": lambda: True, **DEVICES}, "device")
    if not is_there():
        raise ConfigError(f"--device {device}: expected a device that torch sees, got none; try --device auto")
    return device


def use_threads(count: int) -> None:
    """Let torch compute with so many CPU threads; 0 takes every core this process may use."""
    torch.set_num_threads(count or usable_cores())


def carry_on() -> None:
    """Look at no clock."""


def probe_precision(
    make_net: Callable[[], nn.Module],
    shape: tuple[int, ...],
    device: str,
    candidates: list[tuple[str, bool]],
    check: Callable[[], None] = carry_on,
) -> list[Timing]:
    """Time forward and backward passes in some precisions and layouts, fastest first; about four in the slowest.

    They take turns, so that other work on the machine strikes all alike. What is `FAR_BEHIND` drops out, and so does a
    precision whose first layout is: no layout makes up for that.

    Args:
        shape: (b, channels, *space) of a training batch; of many patches only some are tried.
        candidates: precision, and whether the layout is channels-last.
        check: asked before each pass; may raise to end it.
    """
    shape = (trial_batch(shape), *shape[1:])
    trials: dict[tuple[str, bool], tuple[nn.Module, Tensor]] = {}
    seconds: dict[tuple[str, bool], float] = {}
    for one in candidates:
        if _best_of(one[0], seconds) <= _limit(seconds):
            check()
            trials[one] = _make_trial(make_net(), shape, device, channels_last=one[1])
            seconds[one] = _timed_pass(*trials[one], one[0])
    counted: dict[tuple[str, bool], float] = {}
    for _ in range(ROUNDS):
        limit = _limit(seconds)
        for one, trial in trials.items():
            if seconds[one] <= limit:
                check()
                counted[one] = min(_timed_pass(*trial, one[0]), counted.get(one, math.inf))
        seconds |= counted
    timings = [Timing(precision, last, each) for (precision, last), each in seconds.items()]
    return sorted(timings, key=lambda timing: timing.seconds)


def trial_batch(shape: tuple[int, ...]) -> int:
    """Return how many patches of a training batch (b, channels, *space) are enough for a trial.

    >>> trial_batch((16, 1, 128, 128)), trial_batch((2, 1, 40, 56, 40)), trial_batch((2, 1, 128, 128, 128))
    (8, 1, 1)
    """
    return max(1, min(shape[0], TRIAL_VOXELS // math.prod(shape[2:])))


def _best_of(precision: str, seconds: Mapping[tuple[str, bool], float]) -> float:
    return min((each for (name, _), each in seconds.items() if name == precision), default=0.0)


def _limit(seconds: Mapping[tuple[str, bool], float]) -> float:
    return FAR_BEHIND * min(seconds.values(), default=math.inf) + SETTLING


def _make_trial(
    net: nn.Module, shape: tuple[int, ...], device: str, *, channels_last: bool
) -> tuple[nn.Module, Tensor]:
    image = torch.randn(shape, device=device)
    image = image.contiguous(memory_format=memory_format(image, channels_last))
    net = net.to(device).train()
    return lay_out(net, image.ndim - 2) if channels_last else net, image


def _timed_pass(net: nn.Module, image: Tensor, precision: str) -> float:
    clock = time.process_time if image.device.type == "cpu" else time.perf_counter
    started = clock()
    with torch.autocast(image.device.type, AUTOCAST.get(precision), enabled=precision in AUTOCAST):
        logits = net(image)
        scalars = [part.float().square().mean() for part in (logits if isinstance(logits, list) else [logits])]
    torch.stack(scalars).sum().backward()  # type: ignore[no-untyped-call]  # torch's stubs lack it
    wait_for(image.device.type)
    return clock() - started


def wait_for(device: str) -> None:
    """Wait until a device has done what it was told, so that the clock shows it."""
    if device in ("cuda", "mps"):
        getattr(torch, device).synchronize()


def _cpu_name() -> str:
    listed = Path("/proc/cpuinfo")  # Linux only; elsewhere Python knows
    if listed.exists():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 8 * 2**30
