"""Sliding windows with Gaussian blending, slab by slab: memory is bounded by one batch of windows and one slab.

Windows lie on a grid and their weights are separable, so that the sum of weights needs no array of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Annotated

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field

from ushape.core.case import ArrayLike
from ushape.core.config import Config
from ushape.core.grid import cut_mirrored
from ushape.predict.compose import OnceIfConstant
from ushape.predict.engines import Engine
from ushape.predict.layout import Axis, Region, cut_blocks, lay_windows
from ushape.predict.slices import Slices

SLAB_BYTES = 2.0**31
"""What a slab may take. If whole planes need more, they are cut into blocks, and windows across a cut run twice."""

Part = tuple[Region, ndarray]
"""Where on the grid, and the probabilities there: (classes, *region) in float32, valid until the next part."""


class WindowConfig(Config):
    """How an image is cut for prediction.

    Attributes:
        size: window size per axis in voxels, as the network sees it (margins of unpadded networks included). Two
            numbers take volumes slice by slice along their first axis.
        overlap: share of a window that its neighbour covers too, in [0, 1).
        batch: windows per pass.
    """

    size: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Annotated[int, Field(ge=1)] = 1


def predict_windows(image: ArrayLike, engine: Engine, config: WindowConfig) -> Float[ndarray, "classes *space"]:
    """Predict an image of (channels, *space): cut windows, run the engine, blend the probabilities.

    Returns:
        Probabilities in float32 on the image's grid; they sum to 1 over the classes.
    """
    space = tuple(image.shape[1:])
    whole: ndarray | None = None
    for region, part in stream_windows(image, engine, config):
        if part.shape[1:] == space:
            return part
        whole = np.empty((engine.classes, *space), dtype=np.float32) if whole is None else whole
        whole[(slice(None), *region)] = part
    assert whole is not None  # noqa: S101 - every grid has a first part
    return whole


def stream_windows(
    image: ArrayLike, engine: Engine, config: WindowConfig, *, slab_bytes: float = SLAB_BYTES
) -> Iterator[Part]:
    """Predict an image part by part; together the parts are what `predict_windows` returns.

    A window whose channels are all constant is predicted once, and again only after another constant. That changes
    nothing but the time: empty borders, and the zeros around cut-out organs, are nearly free.

    Args:
        slab_bytes: what the probabilities of a slab may take; math.inf never cuts planes, and the parts are whole rows.
    Yields:
        Parts in the order of their rows, as far as planes are whole; every voxel once.
    """
    engine, size = _fit_axes(image, engine, config.size)
    axes = lay_windows(tuple(image.shape[1:]), engine, size, config.overlap)
    run = OnceIfConstant(engine)
    if all(axis.is_single for axis in axes):
        window = run(_cut(image, [(0,) * len(axes)], axes))[0]
        yield tuple(slice(0, axis.size) for axis in axes), window[_first([axis.size for axis in axes])]
        return
    scales = [axis.inverse_weights() for axis in axes]
    for block in cut_blocks(axes, engine.classes, slab_bytes):
        for region, part in _Slab(axes, block, engine.classes).run(image, run, config.batch):
            for number, (scale, cut) in enumerate(zip(scales, region, strict=True)):
                np.multiply(part, _along(scale[cut], number, len(axes)), out=part)
            yield region, part


def _fit_axes(image: ArrayLike, engine: Engine, size: tuple[int, ...]) -> tuple[Engine, tuple[int, ...]]:
    """Take a volume slice by slice if windows have an axis less than it."""
    return (Slices(engine), (1, *size)) if len(size) == len(image.shape) - 2 else (engine, size)


class _Slab:
    """The sums of the windows that begin at one row, over one block of the planes; moves on from row to row."""

    def __init__(self, axes: Sequence[Axis], block: Region, classes: int) -> None:
        self.axes, self.block = axes, block
        self.depth = min(axes[0].length, axes[0].size)
        self.total = np.zeros((classes, self.depth, *(cut.stop - cut.start for cut in block)), dtype=np.float32)
        self.weight = reduce(np.multiply.outer, [axis.profile for axis in axes])

    def run(self, image: ArrayLike, engine: Engine, batch: int) -> Iterator[Part]:
        """Add up all windows; yield the weighted sums of rows as soon as no later window reaches them."""
        rows = self.axes[0].starts
        reaching = [axis.reaching(cut.start, cut.stop) for axis, cut in zip(self.axes[1:], self.block, strict=True)]
        for row, following in itertools.pairwise([*rows, self.axes[0].size]):
            for corners in _batched([(row, *rest) for rest in itertools.product(*reaching)], batch):
                for corner, window in zip(corners, engine(_cut(image, corners, self.axes)), strict=True):
                    self._add(window, corner[1:])
            yield (slice(row, following), *self.block), self.total[:, : following - row]
            self._move(following - row)

    def _add(self, window: ndarray, corner: tuple[int, ...]) -> None:
        source, target = [slice(0, self.depth)], [slice(0, self.depth)]
        for axis, cut, start in zip(self.axes[1:], self.block, corner, strict=True):
            low, high = max(start, cut.start), min(start + axis.length, cut.stop)
            source.append(slice(low - start, high - start))
            target.append(slice(low - cut.start, high - cut.start))
        weighted = window[(slice(None), *source)]
        weighted *= self.weight[tuple(source)]
        self.total[(slice(None), *target)] += weighted

    def _move(self, done: int) -> None:
        for row in range(self.depth - done):  # one by one: no copy is needed although they overlap
            self.total[:, row] = self.total[:, row + done]
        self.total[:, max(self.depth - done, 0) :] = 0


def _batched(corners: list[tuple[int, ...]], batch: int) -> list[list[tuple[int, ...]]]:
    return [corners[i : i + batch] for i in range(0, len(corners), batch)]


def _cut(image: ArrayLike, corners: list[tuple[int, ...]], axes: Sequence[Axis]) -> ndarray:
    lengths = [axis.length + 2 * axis.margin for axis in axes]
    starts = [[start - axis.margin for start, axis in zip(corner, axes, strict=True)] for corner in corners]
    return np.stack([cut_mirrored(image, start, lengths) for start in starts]).astype(np.float32, copy=False)


def _first(sizes: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(size) for size in sizes))


def _along(values: ndarray, axis: int, ndim: int) -> ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])
