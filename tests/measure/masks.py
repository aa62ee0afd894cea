"""Pairs of masks for which `make_oracle.py` asks other packages, whose environment has NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from scipy import ndimage

Spacing = tuple[float, ...]


def draw_blobs(
    *shape: int, centers: tuple[float, float] = (0.45, 0.52), radius: float = 0.3
) -> tuple[ndarray, ndarray]:
    """Draw two overlapping blobs with ragged borders, and a stray voxel in the first."""
    rng = np.random.default_rng(7)
    grid = np.indices(shape) / np.reshape(shape, (-1, *[1] * len(shape)))
    masks = []
    for center in centers:
        field = radius - np.sqrt(((grid - center) ** 2).sum(0))
        masks.append(field + 0.05 * ndimage.gaussian_filter(rng.normal(size=shape), 1) > 0)
    masks[0][(1,) * len(shape)] = True
    return masks[0], masks[1]


def fill(shape: tuple[int, ...], *boxes: tuple[slice, ...]) -> ndarray:
    """Fill boxes of a mask."""
    mask = np.zeros(shape, dtype=bool)
    for box in boxes:
        mask[box] = True
    return mask


def hollow(mask: ndarray, *box: slice) -> ndarray:
    """Take a box out of a mask."""
    out = mask.copy()
    out[box] = False
    return out


def noise(*shape: int) -> tuple[ndarray, ndarray]:
    """Draw every fifth voxel at random, twice."""
    first, second = np.random.default_rng(3).random((2, *shape)) < 0.2
    return first, second


_SOLID = fill((18, 20, 22), (slice(3, 15), slice(3, 17), slice(3, 18)))
MASKS: dict[str, tuple[tuple[ndarray, ndarray], Spacing]] = {
    "2D": (draw_blobs(40, 50), (1.0, 1.0)),
    "2D anisotropic": (draw_blobs(33, 47), (0.7, 1.9)),
    "3D": (draw_blobs(24, 30, 28), (1.0, 1.0, 1.0)),
    "3D anisotropic": (draw_blobs(16, 40, 36), (5.0, 0.8, 0.8)),
    "cut off by all borders": (draw_blobs(20, 24, 22, centers=(0.42, 0.6), radius=0.7), (1.5, 1.0, 1.0)),
    "cut off by all borders, 2D": (draw_blobs(30, 26, centers=(0.3, 0.6), radius=0.62), (1.0, 0.5)),
    "the whole image and its half": (
        (fill((9, 10, 11), (slice(None),)), fill((9, 10, 11), (slice(0, 4),))),
        (3.0, 1.0, 1.0),
    ),
    "one voxel each": ((fill((7, 8, 9), (1, 2, 3)), fill((7, 8, 9), (5, 6, 4))), (2.5, 0.7, 1.1)),
    "one voxel against a box": ((fill((30, 31), (4, 28)), fill((30, 31), (slice(9, 20), slice(2, 15)))), (1.0, 1.0)),
    "a hole": ((hollow(_SOLID, slice(7, 10), slice(8, 12), slice(9, 13)), _SOLID), (1.0, 1.0, 1.0)),
    "holes of one voxel, anisotropic": (
        (hollow(_SOLID, slice(5, 14, 4), slice(6, 7), slice(6, 16, 3)), _SOLID),
        (4.0, 0.6, 0.6),
    ),
    "sheets one voxel thick": (
        (fill((16, 18, 20), (slice(None), 4)), fill((16, 18, 20), (slice(None), slice(None), 9))),
        (1.0, 2.0, 0.5),
    ),
    "far apart": (
        (fill((50, 60), (slice(0, 6), slice(0, 7))), fill((50, 60), (slice(41, 50), slice(52, 60)))),
        (0.9, 1.3),
    ),
    "noise": (noise(12, 13, 14), (1.0, 0.9, 2.0)),
}
"""Prediction and label, and their spacing."""
