"""Does an exported file do what its net does? Compared on noise, at several sizes, odd ones among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ushape.core.errors import ExportError
from ushape.core.exported import ExportPrecision, Parity
from ushape.nets.config import UNetConfig
from ushape.nets.sizes import input_space
from ushape.predict.engines import Engine

TOLERANCES: dict[ExportPrecision, float] = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 0.3}
"""The largest difference of a probability that is let through; that of a wrong graph is near 1.

INT8 is judged by its Dice on real cases instead.
"""

Trial = tuple[int, tuple[int, ...]]
"""A batch and a size."""


def trial_sizes(config: UNetConfig, window: tuple[int, ...], *, dynamic: bool) -> list[Trial]:
    """Choose batches and sizes to compare at: the window itself, and odd ones unlike along each axis.

    >>> trial_sizes(UNetConfig(), (64, 48), dynamic=True)
    [(1, (64, 48)), (2, (43, 25)), (3, (17, 33))]
    """
    if not dynamic:
        return [(1, window), (2, window)]
    thirds = tuple((2 * n // 3 if axis % 2 == 0 else n // 2) | 1 for axis, n in enumerate(window))
    small = tuple((n // 4 if axis % 2 == 0 else 2 * n // 3) | 1 for axis, n in enumerate(window))
    return [(1, window), (2, input_space(config, thirds)), (3, input_space(config, small))]


def compare(engine: Engine, reference: Engine, trials: Sequence[Trial], channels: int) -> tuple[Parity, ...]:
    """Compare two engines on noise."""
    rng = np.random.default_rng(0)
    found = []
    for batch, size in trials:
        windows = rng.standard_normal((batch, channels, *size), dtype=np.float32)
        got, want = engine(windows), reference(windows)
        if got.shape != want.shape:
            raise ExportError(f"export: at size {size} the file gives shape {got.shape}, torch {want.shape}")
        other = float((got.argmax(axis=1) != want.argmax(axis=1)).mean())
        found.append(Parity(size, batch, float(np.abs(got - want).max()), other))
    return tuple(found)


def check_parity(parity: Sequence[Parity], precision: ExportPrecision) -> None:
    """Refuse a file that does not do what its net does.

    Raises:
        ExportError: a probability differs by more than the precision allows, or is not a number.
    """
    if precision not in TOLERANCES:
        return
    worst = float(np.max([each.worst for each in parity]))  # NaN if one of them is
    if not worst <= TOLERANCES[precision]:
        raise ExportError(
            f"export: a probability differs from torch's by {worst:.2g}, more than the {TOLERANCES[precision]:g} that "
            f"{precision} may; nothing was written; try another --precision, or --to another format"
        )


def describe_parity(parity: Parity) -> str:
    """Say how far a file is from torch."""
    return f"probabilities within {parity.worst:.1e}, {parity.other_class:.2%} of the voxels in another class"
