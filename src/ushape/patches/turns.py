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
    ndim = flip.shape[1]
    turned = torch.empty_like(patches)
    for target, patch, mirrored, quarters in zip(turned, patches, flip, turns.tolist(), strict=True):
        axes = [int(axis) - ndim for axis in mirrored.nonzero()[0]]
        moved = patch.flip(axes) if axes else patch
        target.copy_(moved.rot90(quarters, (-2, -1)) if quarters else moved)
    return turned
