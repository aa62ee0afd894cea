"""Boxes on a grid: where windows and patches lie, and how they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from ushape.core.case import ArrayLike


def mirror_indices(start: int, length: int, size: int) -> Int[ndarray, " length"]:
    """List the `length` voxels from `start` along an axis of `size`, mirrored at both ends without repeating the edge.

    >>> mirror_indices(-2, 8, 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    period = max(2 * (size - 1), 1)
    folded = np.abs(np.arange(start, start + length)) % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros(length, dtype=int)


def cut_mirrored(array: ArrayLike, starts: Sequence[int], lengths: Sequence[int]) -> Any:
    """Cut a box out of the last axes of an array; what lies outside is mirrored in.

    Only the part inside is read, so that the array may be a memory map. The result may be a view.

    >>> cut_mirrored(np.arange(6).reshape(2, 3), (0, -1), (2, 3)).tolist()
    [[1, 0, 1], [4, 3, 4]]
    """
    space = array.shape[len(array.shape) - len(starts) :]
    inside = [_clip(start, length, size) for start, length, size in zip(starts, lengths, space, strict=True)]
    box = np.asarray(array[(..., *(slice(low, high) for low, high in inside))])
    for axis, (start, length, size, (low, high)) in enumerate(zip(starts, lengths, space, inside, strict=True)):
        if (low, high) != (start, start + length):
            box = np.take(box, mirror_indices(start, length, size) - low, axis=box.ndim - len(starts) + axis)
    return box


def _clip(start: int, length: int, size: int) -> tuple[int, int]:
    if start >= 0 and start + length <= size:
        return start, start + length
    used = mirror_indices(start, length, size)
    return int(used.min()), int(used.max()) + 1
