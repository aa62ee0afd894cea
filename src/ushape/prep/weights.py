"""Resampling of one axis as a banded matrix: each output voxel is a weighted sum of a few input voxels.

Axes are independent, so that a volume is resampled by one such matrix per axis, each applied as a row of small dense
products, which is what a CPU does best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped
from numpy import ndarray

from ushape.core.config import choose

Kernel = Literal["nearest", "linear", "cubic", "spline"]
"""cubic: Keys' convolution, 4 voxels. spline: interpolating cubic B-spline, which keeps finer detail and
rings further at edges."""

ROWS_PER_PRODUCT = 64
"""Output voxels per dense product: enough for the matrix unit, few enough that the band stays narrow."""
SPLINE_REACH = 7


@dataclass(frozen=True, eq=False)
class AxisWeights:
    """The weights of one axis.

    Attributes:
        index: for each output voxel the input voxels it is made of, each row increasing.
        weight: their weights; each row sums to 1.
        size: number of input voxels.
    """

    index: Int[ndarray, "out taps"]
    weight: Float32[ndarray, "out taps"]
    size: int

    @property
    def growth(self) -> float:
        """Output voxels per input voxel."""
        return len(self.index) / self.size

    def inputs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the interval of input voxels that the output voxels `start` to `stop` need."""
        part = self.index[start:stop]
        return int(part.min()), int(part.max()) + 1

    def outputs(self, start: int, stop: int) -> tuple[int, int]:
        """Return the interval of output voxels to which the input voxels `start` to `stop` contribute."""
        first = int(np.searchsorted(self.index.max(axis=1), start))
        return first, max(first, int(np.searchsorted(self.index.min(axis=1), stop)))

    def part(self, outputs: tuple[int, int], inputs: tuple[int, int]) -> AxisWeights:
        """Return the weights between two intervals; input voxels outside theirs count as 0."""
        rows = slice(*outputs)
        index, low, high = self.index[rows], *inputs
        weight = np.where((index >= low) & (index < high), self.weight[rows], np.float32(0))
        return AxisWeights(np.clip(index - low, 0, high - low - 1), weight, high - low)

    def dense(self, start: int, stop: int) -> tuple[slice, Float32[ndarray, "rows columns"]]:
        """Return the input interval of some output voxels, and their weights as a dense matrix over it."""
        low, high = self.inputs(start, stop)
        matrix = np.zeros((stop - start, high - low), dtype=np.float32)
        rows = np.arange(stop - start)
        for tap in range(self.index.shape[1]):
            matrix[rows, self.index[start:stop, tap] - low] += self.weight[start:stop, tap]
        return slice(low, high), matrix


def make_weights(size_in: int, size_out: int, step: float, kernel: Kernel, *, smooth: bool = False) -> AxisWeights:
    """Make the weights between two grids on one axis that share their centre.

    Beyond the ends the outermost voxel goes on. All kernels reproduce constants, and all but "nearest" reproduce
    straight lines away from the ends.

    Args:
        step: distance of two output voxels, in input voxels.
        smooth: whether the kernel is widened where the axis shrinks, so that finer detail is averaged, not aliased.

    >>> make_weights(2, 4, 0.5, "linear").dense(0, 4)[1].tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    position = (np.arange(size_out) - (size_out - 1) / 2) * step + (size_in - 1) / 2
    make = choose(kernel, KERNELS, "kernel")
    index, weight = make(position, max(step, 1.0) if smooth else 1.0)
    weight = _centre(index, weight / weight.sum(axis=1, keepdims=True), position)
    return AxisWeights(np.clip(index, 0, size_in - 1), weight.astype(np.float32), size_in)


def apply_weights(array: Shaped[ndarray, "..."], weights: AxisWeights, axis: int) -> Float32[ndarray, "..."]:
    """Resample one axis of an array."""
    before, after = math.prod(array.shape[:axis]), math.prod(array.shape[axis + 1 :])
    source = np.ascontiguousarray(array, dtype=np.float32).reshape(before, weights.size, after)
    size = len(weights.index)
    out = np.empty((before, size, after), dtype=np.float32)
    for start in range(0, size, ROWS_PER_PRODUCT):
        stop = min(start + ROWS_PER_PRODUCT, size)
        columns, matrix = weights.dense(start, stop)
        if after == 1:
            np.matmul(source[:, columns, 0], matrix.T, out=out[:, start:stop, 0])
        else:
            np.matmul(matrix, source[:, columns], out=out[:, start:stop])
    return out.reshape(*array.shape[:axis], size, *array.shape[axis + 1 :])


Taps = tuple[Int[ndarray, "out taps"], Float[ndarray, "out taps"]]


def _nearest(position: Float[ndarray, " out"], _: float) -> Taps:
    index = np.floor(position + 0.5 + 1e-6).astype(np.int64)[:, None]
    return index, np.ones(index.shape)


def _spread(
    position: Float[ndarray, " out"], stretch: float, *, radius: int, curve: Callable[[ndarray], ndarray]
) -> Taps:
    reach = radius * stretch
    first = np.floor(position - reach).astype(np.int64) + 1
    index = first[:, None] + np.arange(math.ceil(2 * reach))
    return index, curve(np.abs(index - position[:, None]) / stretch)


def _centre(
    index: Int[ndarray, "out taps"], weight: Float[ndarray, "out taps"], position: Float[ndarray, " out"]
) -> Float[ndarray, "out taps"]:
    """Move the centre of mass of each row onto its position, which a widened kernel misses by up to 0.1 voxels."""
    share = np.abs(weight) / np.abs(weight).sum(axis=1, keepdims=True)
    offset = index - (share * index).sum(axis=1, keepdims=True)
    spread = (share * offset**2).sum(axis=1)
    missing = position - (weight * index).sum(axis=1)
    tilt = np.where(spread > 1e-9, missing / np.maximum(spread, 1e-9), 0)
    return weight + tilt[:, None] * share * offset


def _triangle(distance: Float[ndarray, "out taps"]) -> Float[ndarray, "out taps"]:
    return np.maximum(1 - distance, 0)


def _keys(distance: Float[ndarray, "out taps"]) -> Float[ndarray, "out taps"]:
    """Evaluate cubic convolution. Source: Keys 1981, doi:10.1109/TASSP.1981.1163711, eq. 15."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.select([distance <= 1, distance < 2], [near, far])


def _spline(distance: Float[ndarray, "out taps"]) -> Float[ndarray, "out taps"]:
    """Evaluate the cubic spline that is 1 at 0 and 0 at all other integers; cut off where it is below 1e-4.

    Source: Unser 1999, doi:10.1109/79.799930: B-splines, weighted by the inverse filter of their samples.
    """
    pole = math.sqrt(3) - 2
    gain = -6 * pole / (1 - pole**2)
    return sum(
        (
            gain * pole ** abs(shift) * _bump(np.abs(distance - shift))
            for shift in range(-SPLINE_REACH, SPLINE_REACH + 1)
        ),
        start=np.zeros_like(distance),
    )


def _bump(distance: Float[ndarray, "out taps"]) -> Float[ndarray, "out taps"]:
    """Evaluate the cubic B-spline."""
    near = 2 / 3 - distance**2 + distance**3 / 2
    return np.select([distance <= 1, distance < 2], [near, (2 - distance) ** 3 / 6])


KERNELS: dict[str, Callable[[Float[ndarray, " out"], float], Taps]] = {
    "nearest": _nearest,
    "linear": partial(_spread, radius=1, curve=_triangle),
    "cubic": partial(_spread, radius=2, curve=_keys),
    "spline": partial(_spread, radius=SPLINE_REACH, curve=_spline),
}
