"""Where the voxels of a level lie in the image: levels are coarser, and smaller without padding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from ushape.nets.grid import crop_to, pad_to
from ushape.nets.ndim import LAYERS, PerAxis
from ushape.nets.unet import UNet, cumulate


def level_strides(net: UNet) -> list[PerAxis]:
    """Return how many times coarser than the image every level of a network is, per axis, finest first."""
    return cumulate(net.encoder.strides)


def is_centred(net: UNet) -> bool:
    """Tell whether the levels of a network lie in the middle of the image: its convolutions lose the border."""
    return net.config.block.padding == "valid"


def find_stride(strides: Sequence[PerAxis], size: Sequence[int], space: Sequence[int]) -> PerAxis:
    """Return the coarsest stride of an image of `space` whose grid still holds a tensor of `size`.

    >>> find_stride([(1, 1), (2, 2), (4, 4)], (200, 200), (572, 572))
    (2, 2)
    """
    fits = [
        stride
        for stride in strides
        if all(have <= math.ceil(whole / step) for have, whole, step in zip(size, space, stride, strict=True))
    ]
    return fits[-1] if fits else strides[0]


def find_voxels(
    places: Int[ndarray, "n axes"], stride: PerAxis, size: Sequence[int], space: Sequence[int], *, centred: bool
) -> Int[ndarray, "n axes"]:
    """Return which voxel of a level covers each place of the image; the nearest for places beyond it.

    >>> import numpy as np
    >>> find_voxels(np.array([[5, 9]]), (4, 4), (4, 4), (16, 16), centred=False).tolist()
    [[1, 2]]
    """
    if centred:
        middle, own = (np.asarray(space) - 1) / 2, (np.asarray(size) - 1) / 2
        found = np.rint((places - middle) / stride + own).astype(int)
    else:
        found = places // np.asarray(stride)
    return np.clip(found, 0, np.asarray(size) - 1)


def spread(
    level: Float[Tensor, "b c *coarse"], stride: PerAxis, space: Sequence[int], *, centred: bool
) -> Float[Tensor, "b c *space"]:
    """Bring a level onto the image's grid: interpolate linearly by its stride, cut or repeat the border.

    >>> import torch
    >>> spread(torch.ones(1, 1, 3, 3), (2, 2), (5, 5), centred=False).shape
    torch.Size([1, 1, 5, 5])
    """
    mode = LAYERS[len(stride)].linear_mode
    fine = level
    if math.prod(stride) > 1:
        fine = F.interpolate(level, scale_factor=[float(step) for step in stride], mode=mode, align_corners=False)
    inner = [min(have, want) for have, want in zip(fine.shape[2:], space, strict=True)]
    cut = crop_to(fine, inner, centred=centred)
    if not centred:
        return pad_to(cut, space, "replicate")
    missing = [want - have for want, have in zip(space, inner, strict=True)]
    sides = [side for count in reversed(missing) for side in (count // 2, count - count // 2)]
    return F.pad(cut, sides, mode="replicate")
