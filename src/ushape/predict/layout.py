"""Where windows lie on a grid, what each voxel of one weighs, and how planes are cut if a slab would be too large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.predict.engines import Engine

STRETCH = 1.5
"""An axis up to this many windows long is taken in one: cheaper than two overlapping windows, memory still bounded."""

Region = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a grid and the windows along it.

    Attributes:
        size: of the grid, in voxels.
        length: of the part of a window that is predicted.
        margin: what a window is longer than that, at each side.
        starts: first predicted voxel of each window.
    """

    size: int
    length: int
    margin: int
    starts: Sequence[int]

    @property
    def is_single(self) -> bool:
        """Whether one window covers it."""
        return len(self.starts) == 1

    @property
    def profile(self) -> Float[ndarray, " length"]:
        """The weight of each voxel of a window."""
        return blend_profile(self.length)

    def inverse_weights(self) -> Float[ndarray, " size"]:
        """Return, for each voxel of the grid, 1 / the sum of the weights of its windows."""
        total, profile = np.zeros(self.size, dtype=np.float32), self.profile
        for start in self.starts:
            total[start : start + self.length] += profile[: self.size - start]
        return np.float32(1) / total

    def reaching(self, low: int, high: int) -> list[int]:
        """List the starts of the windows that reach into an interval."""
        return [start for start in self.starts if start < high and start + self.length > low]

    def cuts(self, count: int) -> list[slice]:
        """Cut the axis into about `count` parts, each beginning where a window does: few windows lie across."""
        chosen = sorted({self.starts[number * len(self.starts) // count] for number in range(count)})
        return [slice(low, high) for low, high in itertools.pairwise([*chosen, self.size])]


def lay_windows(space: tuple[int, ...], engine: Engine, size: tuple[int, ...], overlap: float) -> list[Axis]:
    """Lay windows over a grid.

    An engine that takes only certain sizes gets windows of one size; else a short axis is taken whole.

    Args:
        size: of a window per axis, if the engine takes any.
        overlap: share of a window that its neighbour covers too.
    """
    is_fixed = bool(engine.window or any(engine.margin))
    window, margin = engine.window or size, engine.margin or (0,) * len(space)
    lengths = [length - 2 * edge for length, edge in zip(window, margin, strict=True)]
    if not is_fixed:
        lengths = [have if have <= length * STRETCH else length for have, length in zip(space, window, strict=True)]
    return [
        Axis(voxels, length, edge, window_starts(voxels, length, overlap))
        for voxels, length, edge in zip(space, lengths, margin, strict=True)
    ]


def window_starts(size: int, length: int, overlap: float) -> list[int]:
    """Place windows of `length` evenly on an axis of `size`, so that they cover it and overlap at least as asked.

    >>> window_starts(100, 40, 0.5)
    [0, 20, 40, 60]
    >>> window_starts(30, 40, 0.5)
    [0]
    """
    if size <= length:
        return [0]
    steps = math.ceil((size - length) / max(length * (1 - overlap), 1))
    return [round(i * (size - length) / steps) for i in range(steps + 1)]


def blend_profile(length: int) -> Float[ndarray, " length"]:
    """Weigh the voxels of a window along one axis: a Gaussian of sigma length / 8, at least 1e-3.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (sigma of the importance weighting).
    """
    distance = np.arange(length) - (length - 1) / 2
    return np.maximum(np.exp(-0.5 * (distance / max(length / 8, 1e-6)) ** 2), 1e-3).astype(np.float32)


def cut_blocks(axes: Sequence[Axis], classes: int, slab_bytes: float) -> list[Region]:
    """Cut the planes of a grid, all axes but the first, until a slab of one window's depth fits into some memory.

    No block is smaller than the step between two windows.
    """
    per_voxel = 4 * classes * min(axes[0].length, axes[0].size)
    counts = [1 for _ in axes[1:]]

    def widest(number: int) -> float:
        is_cuttable = counts[number] < len(axes[number + 1].starts)
        return axes[number + 1].size / counts[number] if is_cuttable else 0.0

    def plane() -> int:
        cuts = [axis.cuts(count) for axis, count in zip(axes[1:], counts, strict=True)]
        return math.prod(max(cut.stop - cut.start for cut in each) for each in cuts)

    while per_voxel * plane() > slab_bytes and any(map(widest, range(len(counts)))):
        counts[max(range(len(counts)), key=widest)] += 1
    return list(itertools.product(*(axis.cuts(count) for axis, count in zip(axes[1:], counts, strict=True))))
