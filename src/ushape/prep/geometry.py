"""Where voxels lie: from array indices to the world, and the grids that steps of preparation make of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError

SMALLEST_VOLUME = 1e-6
"""Volume that the unit vectors of three axes span at least; less, and they lie in one plane."""


def last_axes(*key: slice | int | ndarray) -> Any:
    """Return an index of the last axes of an array; those before are kept whole.

    >>> np.zeros((4, 5, 6))[last_axes(slice(2), 0)].shape
    (4, 2)
    """
    return (..., *key)


def step_vectors(geometry: Geometry) -> Float[ndarray, "axes world"]:
    """Return how far one voxel along each array axis goes in the world, one row per axis, in the geometry's unit."""
    return np.asarray(geometry.direction, dtype=np.float64) * np.asarray(geometry.spacing, dtype=np.float64)[:, None]


def to_world(geometry: Geometry, index: Num[ndarray, "*n axes"]) -> Float[ndarray, "*n world"]:
    """Map array indices, which may be fractions, to positions in the world.

    >>> to_world(Geometry((2.0, 3.0), "mm", (10.0, 20.0), ((1.0, 0.0), (0.0, 1.0))), np.array([1, 1])).tolist()
    [12.0, 23.0]
    """
    return np.asarray(geometry.origin, dtype=np.float64) + index @ step_vectors(geometry)


def start_at(geometry: Geometry, index: Sequence[float] | Sequence[int]) -> Geometry:
    """Return the grid whose voxel 0 is voxel `index` of this one, which may be a fraction or lie outside.

    >>> start_at(Geometry.pixels(2), (-3, 2)).origin
    (-3.0, 2.0)
    """
    if not any(index):
        return geometry
    origin = to_world(geometry, np.asarray(index, dtype=np.float64))
    return replace(geometry, origin=tuple(origin.tolist()))


def index_map(source: Geometry, target: Geometry) -> tuple[Float[ndarray, "axes axes"], Float[ndarray, " axes"]]:
    """Return (matrix, offset) so that `index @ matrix + offset` takes target indices to source indices.

    Raises:
        DataError: the source's axes do not span the space.
    """
    if abs(np.linalg.det(np.asarray(source.direction))) < SMALLEST_VOLUME:
        raise DataError(f"direction: expected axes that span the space, got {source.direction}; repair the header")
    inverse = np.linalg.inv(step_vectors(source))
    offset = (np.asarray(target.origin) - np.asarray(source.origin)) @ inverse
    return step_vectors(target) @ inverse, offset
