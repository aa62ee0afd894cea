"""Flips and quarter turns: voxels change places, and nothing is computed anew."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor


def turn_and_flip(
    patches: Shaped[Tensor, "b *rest"], flip: Bool[Tensor, "b ndim"], turns: Int[Tensor, " b"]
) -> Shaped[Tensor, "b *rest"]:
    """Mirror patches along their last axes, then turn the last two by quarters.

    >>> patch = torch.tensor([[[1, 2], [3, 4]]])
    >>> turn_and_flip(patch, torch.tensor([[False, True]]), torch.tensor([1])).tolist()
    [[[1, 3], [2, 4]]]
    """
    if not bool(flip.any() | turns.any()):
        return patches
    turned = torch.empty_like(patches)
    for i, (mirrored, quarters) in enumerate(zip(flip.tolist(), turns.tolist(), strict=True)):
        axes = [axis - len(mirrored) for axis, is_mirrored in enumerate(mirrored) if is_mirrored]
        turned[i] = torch.rot90(torch.flip(patches[i], axes), quarters, (-2, -1))
    return turned
