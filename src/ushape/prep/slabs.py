"""Resample whole arrays slab by slab, so that beside input and output only a slab is ever held."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Num, Shaped
from numpy import ndarray

from ushape.core.case import ArrayLike
from ushape.prep.weights import AxisWeights, apply_weights

Axes = Sequence[AxisWeights | None]
"""The weights of each spatial axis; None for an axis that stays as it is."""

VOXELS_PER_SLAB = 2**24
"""Voxels of a slab, input or output, whichever is larger: 64 MiB in float32."""
MOST_ROWS = 64


def output_space(space: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    """Return the size of the grid to which some weights lead."""
    return tuple(size if axis is None else len(axis.index) for size, axis in zip(space, axes, strict=True))


def slab_rows(shape: tuple[int, ...], axes: Axes) -> Iterator[tuple[slice, slice, Axes]]:
    """Cut the work into slabs along the first spatial axis.

    Args:
        shape: (channels, *space) of the input.
    Yields:
        The output rows of a slab, the input rows they need, and the weights between the two.
    """
    space = shape[1:]
    wanted = output_space(space, axes)
    plane = shape[0] * max(math.prod(space[1:]), math.prod(wanted[1:])) * max(1, math.ceil(space[0] / wanted[0]))
    rows = min(max(VOXELS_PER_SLAB // plane, 1), MOST_ROWS)
    for start in range(0, wanted[0], rows):
        stop = min(start + rows, wanted[0])
        if axes[0] is None:
            yield slice(start, stop), slice(start, stop), axes
        else:
            inputs = axes[0].inputs(start, stop)
            yield slice(start, stop), slice(*inputs), (axes[0].part((start, stop), inputs), *axes[1:])


def resample_block(array: Shaped[ndarray, "..."], axes: Axes) -> Float32[ndarray, "..."]:
    """Resample the last axes of an array at once, those that shrink most first.

    The result may share memory with the array if nothing is to be done.
    """
    lead = array.ndim - len(axes)
    active = [(weights, lead + axis) for axis, weights in enumerate(axes) if weights is not None]
    for weights, axis in sorted(active, key=lambda pair: pair[0].growth):
        array = apply_weights(array, weights, axis)
    return np.asarray(array, dtype=np.float32)


def resample_slabs(array: ArrayLike, axes: Axes) -> Iterator[tuple[slice, ndarray]]:
    """Resample an array of (channels, *space) slab by slab; it is cut by rows, and only forwards.

    Yields:
        Rows of the output, and (channels, rows, ...) in float32 to put there.
    """
    for rows, inputs, weights in slab_rows(array.shape, axes):
        yield rows, resample_block(array[:, inputs], weights)


def resample_array(array: Num[ndarray, "channels *space"], axes: Axes) -> Float32[ndarray, "channels *out"]:
    """Resample every channel of an array.

    Memory: the output and, one channel at a time, a slab.
    """
    out = np.empty((len(array), *output_space(array.shape[1:], axes)), dtype=np.float32)
    for channel in range(len(array)):
        for rows, slab in resample_slabs(array[channel : channel + 1], axes):
            out[channel, rows] = slab[0]
    return out
