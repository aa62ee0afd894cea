"""The 2D and the 3D member of every torch layer family, in one table.

This is the only file of the package in which the words `Conv2d` and `Conv3d` occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Dim = Literal[2, 3]
PerAxis = tuple[int, ...]
Make = Callable[..., nn.Module]


@dataclass(frozen=True)
class Layers:
    """Constructors of the layers that exist once per number of spatial axes."""

    conv: Make
    conv_transpose: Make
    max_pool: Make
    average_pool: Make
    batch_norm: Make
    dropout: Make
    linear_mode: str


LAYERS: dict[int, Layers] = {
    2: Layers(
        nn.Conv2d,
        nn.ConvTranspose2d,
        nn.MaxPool2d,
        nn.AvgPool2d,
        nn.BatchNorm2d,
        nn.Dropout2d,
        "bilinear",
    ),
    3: Layers(
        nn.Conv3d,
        nn.ConvTranspose3d,
        nn.MaxPool3d,
        nn.AvgPool3d,
        nn.BatchNorm3d,
        nn.Dropout3d,
        "trilinear",
    ),
}

PLAIN_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
TRANSPOSED_CONVOLUTIONS = (nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOLS = (nn.AvgPool2d, nn.AvgPool3d)
BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def space_axes(x: Tensor) -> tuple[int, ...]:
    """Return the spatial axes of a batch: all but the first two."""
    return tuple(range(2, x.ndim))


def spatial_mean(x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *ones"]:
    """Average over all spatial axes, keeping them: `(b, c, *space) -> (b, c, 1, ...)`."""
    return x.mean(dim=space_axes(x), keepdim=True)


def spatial_max(x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *ones"]:
    """Take the maximum over all spatial axes, keeping them: `(b, c, *space) -> (b, c, 1, ...)`."""
    return x.amax(dim=space_axes(x), keepdim=True)


def depth_to_space(x: Float[Tensor, "b c *space"], factors: PerAxis) -> Float[Tensor, "b d *fine"]:
    """Shuffle channels into space, in any number of axes: `(b, c * prod(factors), *s) -> (b, c, *(s * factors))`.

    Source: Shi et al. 2016, arXiv:1609.05158, eq. 4 (the 2D case with equal factors).

    >>> import torch
    >>> depth_to_space(torch.zeros(1, 12, 4, 5, 6), (1, 2, 2)).shape
    torch.Size([1, 3, 4, 10, 12])
    """
    batch, channels, *space = x.shape
    n = len(space)
    x = x.reshape(batch, channels // math.prod(factors), *factors, *space)
    order = [axis for i in range(n) for axis in (2 + n + i, 2 + i)]
    fine = [size * factor for size, factor in zip(space, factors, strict=True)]
    return x.permute(0, 1, *order).reshape(batch, channels // math.prod(factors), *fine)
