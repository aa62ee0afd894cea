"""Losses of detail: Gaussian blur, and sampling at a lower resolution. Each is one matrix per axis and patch."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ushape.core.grid import mirror_indices
from ushape.patches.axes import multiply_axes


def blur(
    patches: Float[Tensor, "n channels *space"], sigma: Float[Tensor, "n axes"], *, radius: int
) -> Float[Tensor, "n channels *space"]:
    """Smooth the last axes by a Gaussian; outside, the patch is mirrored.

    Args:
        sigma: in voxels per axis.
        radius: at which the Gaussian is cut off, in voxels.
    """
    sizes = patches.shape[patches.ndim - sigma.shape[1] :]
    taps = torch.arange(-radius, radius + 1, device=sigma.device)
    kernels = torch.softmax((taps / sigma[:, :, None]).square_().mul_(-0.5), dim=2)
    per_axis = zip(kernels.unbind(1), sizes, strict=True)
    return multiply_axes(patches, [blur_matrices(kernel, size) for kernel, size in per_axis])


def coarsen(
    patches: Float[Tensor, "n channels *space"], zoom: Float[Tensor, "n 1"], *, axes: int
) -> Float[Tensor, "n channels *space"]:
    """Take the nearest voxels on a grid that is coarser along the last axes, and interpolate linearly between them.

    Args:
        zoom: share of the voxels that is kept along each of these axes.
    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement ("simulation of low resolution").
    """
    sizes = patches.shape[patches.ndim - axes :]
    matrices = {size: coarse_matrices(zoom[:, 0], size) for size in set(sizes)}
    return multiply_axes(patches, [matrices[size] for size in sizes])


def blur_matrices(kernel: Float[Tensor, "n taps"], size: int) -> Float[Tensor, "n size size"]:
    """Make the matrices that convolve an axis with a kernel.

    >>> blur_matrices(torch.tensor([[0.25, 0.5, 0.25]]), 3).tolist()
    [[[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5]]]
    """
    count, taps = kernel.shape
    index = neighbours(size, taps).to(kernel.device).expand(count, -1, -1)
    matrix = kernel.new_zeros(count, size, size)
    return matrix.scatter_add_(2, index, kernel[:, None].expand(-1, size, -1))


@lru_cache(maxsize=64)
def neighbours(size: int, taps: int) -> Int[Tensor, "size taps"]:
    """List for each voxel of an axis those under a kernel; what lies outside is mirrored in.

    >>> neighbours(3, 3).tolist()
    [[1, 0, 1], [0, 1, 2], [1, 2, 1]]
    """
    return torch.from_numpy(mirror_indices(-(taps // 2), size + taps - 1, size)).unfold(0, taps, 1)


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
