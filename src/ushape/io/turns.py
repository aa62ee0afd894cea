"""Volumes whose axes run another way than their image's: the same voxels in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ushape.core.case import Geometry
from ushape.io.raster import Raster


def turn_like(raster: Raster, grid: Geometry) -> Raster:
    """Swap and flip the axes of a file until they run as a grid's do; no voxel changes its value or its place.

    A file that says not where it lies, or whose axes lie between the grid's, stays as it is.

    >>> upwards = Geometry.from_affine(np.eye(3))
    >>> downwards = Geometry.from_affine(np.array([[-1.0, 0, 2], [0, 1, 0], [0, 0, 1]]))
    >>> turned = turn_like(Raster(np.array([[[1], [2], [3]]]), downwards), upwards)
    >>> turned.pixels.ravel().tolist(), turned.geometry == upwards
    ([3, 2, 1], True)
    """
    own = raster.geometry
    if not (own.is_placed and grid.is_placed) or own.ndim != grid.ndim:
        return raster
    steps = np.rint(np.linalg.solve(np.transpose(grid.direction), np.transpose(own.direction)))
    is_turn = (np.abs(steps).sum(axis=0) == 1).all() and (np.abs(steps).sum(axis=1) == 1).all()
    if not is_turn or np.array_equal(steps, np.eye(own.ndim)):
        return raster
    axes, flips = np.abs(steps).argmax(axis=1), steps.sum(axis=1) < 0
    size = raster.pixels.shape[1:]
    way = np.eye(own.ndim + 1)  # from the turned indices to the file's own
    way[:-1, :-1] = steps.T
    way[axes, -1] = [size[axis] - 1 if flip else 0 for axis, flip in zip(axes, flips, strict=True)]
    pixels = raster.pixels.transpose(0, *(axes + 1))[:, *(slice(None, None, -1 if flip else 1) for flip in flips)]
    geometry = Geometry.from_affine(own.affine @ way)
    return replace(raster, pixels=np.ascontiguousarray(pixels), geometry=geometry)
