"""Maps of coordinates that keep lines straight: rotation, shear, and corners that are pulled.

All of them act on positions relative to the centre of the patch, in array axis order.
"""

from __future__ import annotations

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor


def planes(ndim: int) -> list[tuple[int, int]]:
    """List the pairs of axes.

    >>> planes(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(ndim), 2))


def rotation_matrices(angles: Float[Tensor, "b planes"], ndim: int) -> Float[Tensor, "b ndim ndim"]:
    """Rotate in each of `planes`, one after the other; angles in radians.

    >>> rotation_matrices(torch.tensor([[math.pi / 2]]), 2).round().abs().tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    matrix = torch.eye(ndim).expand(len(angles), ndim, ndim)
    for (i, j), angle in zip(planes(ndim), angles.unbind(1), strict=True):
        plane = torch.eye(ndim).repeat(len(angles), 1, 1)
        plane[:, i, i] = plane[:, j, j] = angle.cos()
        plane[:, i, j], plane[:, j, i] = -angle.sin(), angle.sin()
        matrix = matrix @ plane
    return matrix


def shear_matrices(angles: Float[Tensor, "b planes"], ndim: int) -> Float[Tensor, "b ndim ndim"]:
    """Move along the first axis of each of `planes` by the tangent of an angle times the place on the second.

    >>> shear_matrices(torch.tensor([[math.atan(0.5)]]), 2).tolist()
    [[[1.0, 0.5], [0.0, 1.0]]]
    """
    matrix = torch.eye(ndim).repeat(len(angles), 1, 1)
    for (i, j), angle in zip(planes(ndim), angles.unbind(1), strict=True):
        matrix[:, i, j] = angle.tan()
    return matrix


def pull_corners(
    moves: Float[Tensor, "b corners ndim"], reach: float
) -> tuple[Float[Tensor, "b ndim ndim"], Float[Tensor, "b ndim"]]:
    """Find the affine map that moves `ndim` + 1 corners of a cube around the centre, each by its own vector.

    Args:
        moves: in voxels.
        reach: distance of the corners from the centre along each axis, in voxels.
    Returns:
        Matrix and shift of the map.

    >>> matrix, shift = pull_corners(torch.ones(1, 3, 2), 5.0)
    >>> matrix.round(decimals=5).tolist(), shift.tolist()  # all corners moved alike: a shift
    ([[[1.0, 0.0], [0.0, 1.0]]], [[1.0, 1.0]])
    """
    ndim = moves.shape[2]
    signs = torch.ones(ndim + 1, ndim) - 2 * torch.tril(torch.ones(ndim + 1, ndim), -1)
    corners = torch.cat([reach * signs, torch.ones(ndim + 1, 1)], dim=1)
    solved = torch.linalg.solve(corners, moves)
    return torch.eye(ndim) + solved[:, :ndim].mT, solved[:, ndim]


def in_voxels(matrix: Float[Tensor, "b ndim ndim"], voxel: tuple[float, ...]) -> Float[Tensor, "b ndim ndim"]:
    """Turn a map of lengths into one of voxels that are not cubes.

    >>> in_voxels(torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]]), (2.0, 1.0)).tolist()
    [[[0.0, 0.5], [-2.0, 0.0]]]
    """
    size = torch.tensor(voxel)
    return matrix * size / size[:, None]


def widen(matrix: Float[Tensor, "b small small"], ndim: int) -> Float[Tensor, "b ndim ndim"]:
    """Let a map of the last axes leave those before them alone."""
    first = ndim - matrix.shape[1]
    wide = torch.eye(ndim).repeat(len(matrix), 1, 1)
    wide[:, first:, first:] = matrix
    return wide


def displacement_std(alpha: float, sigma: float, ndim: int) -> float:
    """Return how far, as a standard deviation in voxels, `alpha` times noise in [-1, 1] smoothed by `sigma` reaches.

    Source: Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801, section 2.

    >>> round(displacement_std(120.0, 6.0, 2), 2)
    3.26
    """
    return alpha / math.sqrt(3) * (2 * math.sqrt(math.pi) * sigma) ** (-ndim / 2)
