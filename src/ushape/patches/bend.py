"""Displacement fields: smooth noise (elastic deformation), and cells of uneven width (grid distortion)."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from ushape.patches.axes import multiply_axes

NODES_OUTSIDE = 3


def count_nodes(size: int, sigma: float) -> int:
    """Return how many nodes, `sigma` apart, make noise along an axis: those too that lie outside but reach in.

    >>> count_nodes(128, 6.0)
    29
    """
    return math.ceil(size / sigma) + 2 * NODES_OUTSIDE + 1


def smooth(
    noise: Float[Tensor, "n ndim *nodes"], space: tuple[int, ...], sigma: float
) -> Float[Tensor, "n ndim *space"]:
    """Make a Gaussian random field of unit variance out of noise at nodes.

    It is what a Gaussian filter of `sigma` voxels makes of noise in every voxel, for far less: nodes `sigma` apart
    are near enough, since the squares of their Gaussians add up to the same everywhere (to 1e-4). An axis with a
    single node is not varied along.

    >>> field = smooth(torch.randn(50, 2, 12, 12, generator=torch.Generator().manual_seed(0)), (40, 40), 8.0)
    >>> round(float(field.std()), 1)
    1.0
    """
    weights = [_node_weights(size, nodes, sigma) for size, nodes in zip(space, noise.shape[2:], strict=True)]
    return multiply_axes(noise, [each[None] for each in weights])


def move_knots(widths: Float[ndarray, "n ndim cells"], space: tuple[int, ...]) -> Float[ndarray, "n ndim knots"]:
    """Return how far, in voxels, the borders of equal cells move when the cells get these relative widths.

    The cells fill the axis before and after, so that its ends stay.

    >>> move_knots(np.array([[[1.0, 3.0]]]), (8,)).tolist()
    [[[0.0, -2.0, 0.0]]]
    """
    cells = widths.shape[2]
    shares = widths.cumsum(2) / widths.sum(2, keepdims=True)
    moves = (shares - np.arange(1, cells + 1) / cells) * np.array(space)[:, None]
    moves[:, :, -1] = 0
    return np.pad(moves, ((0, 0), (0, 0), (1, 0)))


def spread_knots(knots: Float[Tensor, "n knots"], size: int) -> Float[Tensor, "n size"]:
    """Interpolate linearly between knots that lie evenly from edge to edge of an axis.

    >>> spread_knots(torch.tensor([[0.0, -2.0, 0.0]]), 4).tolist()
    [[-0.5, -1.5, -1.5, -0.5]]
    """
    cells = knots.shape[1] - 1
    places = (torch.arange(size) + 0.5) / size * cells
    weights = (1 - (places[:, None] - torch.arange(cells + 1)).abs()).clamp_min(0)
    return knots @ weights.T.to(knots)


def _node_weights(size: int, nodes: int, sigma: float) -> Float[Tensor, "size nodes"]:
    if nodes == 1:
        return torch.ones(size, 1)
    distances = torch.arange(size)[:, None] - (torch.arange(nodes) - NODES_OUTSIDE) * sigma
    weights = torch.exp(-((distances / sigma) ** 2) / 2)
    return weights / weights.square().sum(1, keepdim=True).sqrt()
