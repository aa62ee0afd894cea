"""The 2D and the 3D member of every torch layer family, in one table.

This is the only file of the package in which the words `Conv2d` and `Conv3d` occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

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
CHANNELS_LAST: dict[int, torch.memory_format] = {4: torch.channels_last, 5: torch.channels_last_3d}
"""How a batch lies in memory with its channels innermost, by its number of axes."""


class InstanceNorm(nn.Module):
    """Normalise each channel of each image by its own mean and deviation, then scale and shift: `(b, c, *space)`.

    On a CPU torch's own layer copies a channels-last batch there and back. The batch norm of one image is the same
    sum and keeps the layout, so such a batch is taken image by image. An exported graph has torch's layer, for
    any batch.

    Source: Ulyanov et al. 2016, arXiv:1607.08022, with the scale and shift of its published code.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Normalise a batch."""
        if x.device.type == "cpu" and not torch.compiler.is_compiling() and is_channels_last(x):
            images = [
                functional.batch_norm(image, None, None, self.weight, self.bias, True, eps=self.eps)
                for image in torch.split(x, 1)
            ]
            return torch.cat(images)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        """Name the number of channels, as torch's layers do."""
        return f"{len(self.weight)}, eps={self.eps}"


NORMS = (*BATCH_NORMS, InstanceNorm, nn.GroupNorm, nn.LayerNorm)


def is_channels_last(x: Float[Tensor, "b c *space"]) -> bool:
    """Say whether a batch lies with its channels innermost, and not also the usual way.

    >>> is_channels_last(torch.zeros(1, 2, 3, 4)), is_channels_last(torch.zeros(1, 3, 4, 2).movedim(-1, 1))
    (False, True)
    """
    return not x.is_contiguous() and x.is_contiguous(memory_format=CHANNELS_LAST[x.ndim])


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
