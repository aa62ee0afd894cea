"""Boxes: cut one out of a grid, larger or smaller than it, and put what was predicted on it back in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, image_in_memory
from ushape.core.labels import IGNORE
from ushape.prep.geometry import last_axes, start_at


@dataclass(frozen=True)
class Boxed:
    """The way back of a box; exact. Arrays may have axes before the spatial ones.

    Attributes:
        starts: first voxel of the box on the input grid per axis; negative if the box begins before it.
        sizes: of the box, in voxels.
        space: the size of the input grid.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    space: tuple[int, ...]

    @property
    def removed(self) -> float:
        """The share of the input's voxels that the box leaves out, in [0, 1]."""
        kept = [_overlap(*axis) for axis in zip(self.starts, self.sizes, self.space, strict=True)]
        return 1 - math.prod(max(high - low, 0) for low, high in kept) / math.prod(self.space)

    @property
    def is_whole(self) -> bool:
        """Whether the box is the grid itself."""
        return self.sizes == self.space and not any(self.starts)

    @property
    def is_inside(self) -> bool:
        """Whether the box reaches nowhere beyond the grid."""
        axes = zip(self.starts, self.sizes, self.space, strict=True)
        return all(start >= 0 and start + size <= have for start, size, have in axes)

    def forward(self, array: ndarray, fill: float) -> ndarray:
        """Cut the box out of an array; `fill` where it reaches beyond. A view if it does not."""
        return cut_box(array, self.starts, self.sizes, fill)

    def probabilities(self, array: ndarray) -> ndarray:
        """Take (classes, *space) back to the input grid; outside the box the background has probability 1."""
        back = cut_box(array, self._way_back, self.space, 0.0)
        if self.removed:
            back[0] = cut_box(array[0], self._way_back, self.space, 1.0)
        return back

    def label(self, label: ndarray) -> ndarray:
        """Take class indices back to the input grid; outside the box lies background."""
        return cut_box(label, self._way_back, self.space, 0.0)

    @property
    def _way_back(self) -> tuple[int, ...]:
        return tuple(-start for start in self.starts)


def cut_box(array: ndarray, starts: Sequence[int], sizes: Sequence[int], fill: float) -> ndarray:
    """Cut a box out of the last axes of an array, filled where it lies outside.

    Returns:
        A view where the box lies inside, else a new array.

    >>> cut_box(np.array([1, 2, 3]), [-1], [3], 0.0).tolist()
    [0, 1, 2]
    """
    space = array.shape[array.ndim - len(sizes) :]
    inside = [_overlap(start, size, have) for start, size, have in zip(starts, sizes, space, strict=True)]
    cut = array[last_axes(*(slice(low, max(low, high)) for low, high in inside))]
    if cut.shape[array.ndim - len(sizes) :] == tuple(sizes):
        return cut
    out = np.full((*array.shape[: array.ndim - len(sizes)], *sizes), fill, dtype=array.dtype)
    place = [slice(low - start, max(low, high) - start) for (low, high), start in zip(inside, starts, strict=True)]
    out[last_axes(*place)] = cut
    return out


def box_case(case: Case, box: Boxed, fills: Sequence[float]) -> Case:
    """Cut the box out of a case. Label voxels outside the image are ignored; no class of a multilabel covers them.

    Args:
        fills: value of each channel where the box lies outside the image.
    """
    if box.is_whole:
        return case
    whole = image_in_memory(case)
    image = box.forward(whole, 0.0) if box.is_inside else _stack(whole, box, fills)
    label = None if case.label is None else _box_label(case.label, box)
    return replace(case, image=image, label=label, geometry=start_at(case.geometry, box.starts))


def _stack(image: ndarray, box: Boxed, fills: Sequence[float]) -> ndarray:
    out = np.empty((len(image), *box.sizes), dtype=image.dtype)
    for channel, (pixels, fill) in enumerate(zip(image, fills, strict=True)):
        out[channel] = box.forward(pixels, fill)
    return out


def _box_label(label: ndarray, box: Boxed) -> ndarray:
    if box.is_inside or label.dtype == bool:
        return box.forward(label, 0.0)
    is_signed = np.issubdtype(label.dtype, np.signedinteger)
    return box.forward(label if is_signed else label.astype(f"i{min(2 * label.itemsize, 8)}"), float(IGNORE))


def _overlap(start: int, size: int, have: int) -> tuple[int, int]:
    """Return the first and the last + 1 voxel of an axis of `have` voxels that an interval covers."""
    return max(start, 0), min(start + size, have)
