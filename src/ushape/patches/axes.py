"""Linear maps of each axis in turn: what smoothing, blurring and resampling by a factor come down to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def multiply_axes(
    patches: Float[Tensor, "n channels *space"], matrices: Sequence[Float[Tensor, "_ _ _"]]
) -> Float[Tensor, "n channels *_"]:
    """Multiply each of the last axes by a matrix: its own for every patch, or one for all.

    A dense matrix per axis beats a convolution with a kernel of a few voxels: matrix products run at full speed, and
    patches are short. What happens at the edges is part of the matrix.

    >>> multiply_axes(torch.ones(1, 1, 2, 3), [torch.eye(2)[None], torch.full((1, 1, 3), 1 / 3)]).tolist()
    [[[[1.0], [1.0]]]]
    """
    for axis, matrix in enumerate(matrices, start=patches.ndim - len(matrices)):
        moved = patches.movedim(axis, -1)
        product = torch.matmul(moved.flatten(1, -2), matrix.mT.to(patches))
        patches = product.reshape(*moved.shape[:-1], -1).movedim(-1, axis)
    return patches
