"""Maps of coordinates that keep lines straight: rotation, shear, and corners that are pulled.

All of them act on positions relative to the centre of the patch, in array axis order.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def planes(ndim: int) -> list[tuple[int, int]]:
    """List the pairs of axes.

    >>> planes(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(ndim), 2))


def rotation_matrices(angles: Float[ndarray, "n planes"], ndim: int) -> Float[ndarray, "n ndim ndim"]:
    """Rotate in each of `planes`, one after the other; angles in radians.

    >>> np.abs(rotation_matrices(np.array([[math.pi / 2]]), 2)).round().tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    matrix = _identities(len(angles), ndim)
    cosines, sines = np.cos(angles), np.sin(angles)
    for place, (i, j) in enumerate(planes(ndim)):
        plane = _identities(len(angles), ndim)
        plane[:, i, i] = plane[:, j, j] = cosines[:, place]
        plane[:, j, i] = sines[:, place]
        plane[:, i, j] = -sines[:, place]
        matrix = matrix @ plane
    return matrix


def shear_matrices(angles: Float[ndarray, "n planes"], ndim: int) -> Float[ndarray, "n ndim ndim"]:
    """Move along the first axis of each of `planes` by the tangent of an angle times the place on the second.

    >>> shear_matrices(np.array([[math.atan(0.5)]]), 2).round(6).tolist()
    [[[1.0, 0.5], [0.0, 1.0]]]
    """
    matrix = _identities(len(angles), ndim)
    for place, (i, j) in enumerate(planes(ndim)):
        matrix[:, i, j] = np.tan(angles[:, place])
    return matrix


def pull_corners(
    moves: Float[ndarray, "n corners ndim"], reach: float
) -> tuple[Float[ndarray, "n ndim ndim"], Float[ndarray, "n ndim"]]:
    """Find the affine map that moves `ndim` + 1 corners of a cube around the centre, each by its own vector.

    Args:
        moves: in voxels.
        reach: distance of the corners from the centre along each axis, in voxels.
    Returns:
        Matrix and shift of the map.

    >>> matrix, shift = pull_corners(np.ones((1, 3, 2)), 5.0)
    >>> matrix.tolist(), shift.tolist()  # all corners moved alike: a shift
    ([[[1.0, 0.0], [0.0, 1.0]]], [[1.0, 1.0]])
    """
    ndim = moves.shape[2]
    signs = 1 - 2 * np.tri(ndim + 1, ndim, -1)
    corners = np.concatenate([reach * signs, np.ones((ndim + 1, 1))], axis=1)
    solved = np.linalg.solve(corners, moves)
    return np.eye(ndim) + solved[:, :ndim].swapaxes(1, 2), solved[:, ndim]


def in_voxels(matrix: Float[ndarray, "n ndim ndim"], voxel: tuple[float, ...]) -> Float[ndarray, "n ndim ndim"]:
    """Turn a map of lengths into one of voxels that are not cubes.

    >>> in_voxels(np.array([[[0.0, 1.0], [-1.0, 0.0]]]), (2.0, 1.0)).tolist()
    [[[0.0, 0.5], [-2.0, 0.0]]]
    """
    size = np.array(voxel)
    return matrix * size / size[:, None]


def widen(matrix: Float[ndarray, "n small small"], ndim: int) -> Float[ndarray, "n ndim ndim"]:
    """Let a map of the last axes leave those before them alone."""
    first = ndim - matrix.shape[1]
    wide = _identities(len(matrix), ndim)
    wide[:, first:, first:] = matrix
    return wide


def displacement_std(alpha: float, sigma: float, ndim: int) -> float:
    """Return how far, as a standard deviation in voxels, `alpha` times noise in [-1, 1] smoothed by `sigma` reaches.

    Source: Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801, section 2.

    >>> round(displacement_std(120.0, 6.0, 2), 2)
    3.26
    """
    return alpha / math.sqrt(3) * (2 * math.sqrt(math.pi) * sigma) ** (-ndim / 2)


def _identities(count: int, ndim: int) -> Float[ndarray, "count ndim ndim"]:
    return np.tile(np.eye(ndim), (count, 1, 1))
