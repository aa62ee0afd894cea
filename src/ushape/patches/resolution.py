"""Losses of detail: Gaussian blur, and sampling at a lower resolution. Each is one matrix per axis and patch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ushape.core.grid import mirror_indices
from ushape.patches.axes import multiply_axes


def blur(
    patches: Float[Tensor, "n channels *space"], sigma: Float[Tensor, "n ndim"], *, radius: int
) -> Float[Tensor, "n channels *space"]:
    """Smooth by a Gaussian; outside, the patch is mirrored.

    Args:
        sigma: in voxels per axis; 0 leaves the axis alone.
        radius: at which the Gaussian is cut off, in voxels.
    """
    per_axis = zip(sigma.unbind(1), patches.shape[2:], strict=True)
    return multiply_axes(patches, [blur_matrices(each, size, radius) for each, size in per_axis])


def coarsen(
    patches: Float[Tensor, "n channels *space"], zoom: Float[Tensor, "n ndim"]
) -> Float[Tensor, "n channels *space"]:
    """Take the nearest voxels on a coarser grid, and interpolate linearly between them on the old one.

    Args:
        zoom: share of the voxels that is kept, per axis.
    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement ("simulation of low resolution").
    """
    sizes = patches.shape[2:]
    return multiply_axes(
        patches, [coarse_matrices(each, size) for each, size in zip(zoom.unbind(1), sizes, strict=True)]
    )


def blur_matrices(sigma: Float[Tensor, " n"], size: int, radius: int) -> Float[Tensor, "n size size"]:
    """Make the matrices that blur an axis.

    >>> (100 * blur_matrices(torch.tensor([0.5]), 3, 2)).round().int().tolist()
    [[[79, 21, 0], [11, 79, 11], [0, 21, 79]]]
    """
    taps = torch.arange(-radius, radius + 1, device=sigma.device)
    kernel = torch.softmax(-((taps / sigma.clamp_min(1e-3)[:, None]) ** 2) / 2, dim=1)
    neighbours = torch.from_numpy(mirror_indices(-radius, size + 2 * radius, size)).unfold(0, len(taps), 1)
    matrix = torch.zeros(len(sigma), size, size, device=sigma.device)
    index = neighbours.to(sigma.device).expand(len(sigma), -1, -1)
    return matrix.scatter_add_(2, index, kernel[:, None].expand(-1, size, -1))


def coarse_matrices(zoom: Float[Tensor, " n"], size: int) -> Float[Tensor, "n size size"]:
    """Make the matrices that sample an axis down and up again.

    >>> coarse_matrices(torch.tensor([0.5]), 4).tolist()
    [[[0.0, 1.0, 0.0, 0.0], [0.0, 0.75, 0.0, 0.25], [0.0, 0.25, 0.0, 0.75], [0.0, 0.0, 0.0, 1.0]]]
    """
    kept = (size * zoom).round().clamp(1, size)[:, None]
    fine = torch.arange(size, device=zoom.device, dtype=zoom.dtype)
    place = ((fine + 0.5) * kept / size - 0.5).clamp_min(0).minimum(kept - 1)
    left = place.floor()
    share = place - left
    matrix = torch.zeros(len(zoom), size, size, device=zoom.device, dtype=zoom.dtype)
    for node, weight in ((left, 1 - share), ((left + 1).minimum(kept - 1), share)):
        nearest = ((node + 0.5) * size / kept).long()
        matrix.scatter_add_(2, nearest[:, :, None], weight[:, :, None])
    return matrix
