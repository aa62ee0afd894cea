"""Flips and quarter turns: voxels change places, and nothing is computed anew."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray
from torch import Tensor


def turn_and_flip(
    patches: Shaped[Tensor, "b *rest"], flip: Bool[ndarray, "b ndim"], turns: Int[ndarray, " b"]
) -> Shaped[Tensor, "b *rest"]:
    """Mirror patches along their last axes, then turn the last two by quarters.

    >>> import numpy as np
    >>> patch = torch.tensor([[[1, 2], [3, 4]]])
    >>> turn_and_flip(patch, np.array([[False, True]]), np.array([1])).tolist()
    [[[1, 3], [2, 4]]]
    """
    if not (flip.any() or turns.any()):
        return patches
    ndim, turned = flip.shape[1], []
    for patch, mirrored, quarters in zip(patches.unbind(), flip.tolist(), turns.tolist(), strict=True):
        axes = [axis - ndim for axis, is_mirrored in enumerate(mirrored) if is_mirrored]
        moved = patch.flip(axes) if axes else patch
        turned.append(moved.rot90(quarters, (-2, -1)) if quarters else moved)
    return torch.stack(turned)
