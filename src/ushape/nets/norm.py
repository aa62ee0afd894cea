"""The norms of the blocks, and how fast they are."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.nets.grid import is_exporting
from ushape.nets.ndim import LAYERS, Make

EPSILON = 1e-5


class InstanceNorm(nn.Module):
    """Give every channel of every image mean 0 and variance 1, then scale and shift it.

    On a CPU torch's own instance norm is several times slower than its group norm with one channel per group, or, where
    the channels lie last, than its batch norm of one image after the other. All three give the same.

    Shapes:
        input, output: (b, channels, *space)
    Source: Ulyanov et al. 2016, arXiv:1607.08022, eq. 2.

    >>> image = torch.tensor([[[[1.0, 3.0]]]])
    >>> InstanceNorm(1)(image).round(decimals=2).tolist()
    [[[[-1.0, 1.0]]]]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Choose by device and layout; compiled and exported graphs get the operation that has the name."""
        if is_exporting() or torch.compiler.is_compiling() or x.device.type != "cpu":
            return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=EPSILON)
        if x.is_contiguous():
            return F.group_norm(x, len(self.weight), self.weight, self.bias, EPSILON)
        images = [self._norm_alone(image) for image in torch.split(x, 1)]
        return torch.cat(images) if len(images) > 1 else images[0]

    def extra_repr(self) -> str:
        """Name the number of channels, as torch's layers do."""
        return str(len(self.weight))

    def _norm_alone(self, image: Tensor) -> Tensor:
        return F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=EPSILON)


def count_groups(channels: int) -> int:
    """Return how many groups a group norm gets: up to 8, of four channels at least; groups of one are an instance norm.

    >>> [count_groups(channels) for channels in (6, 8, 48, 320)]
    [1, 2, 4, 8]
    """
    return math.gcd(8, channels, max(channels // 4, 1))


NORMS: dict[str, Make] = {
    "batch": lambda ndim, channels: LAYERS[ndim].batch_norm(channels),
    "instance": lambda _, channels: InstanceNorm(channels),
    "group": lambda _, channels: nn.GroupNorm(count_groups(channels), channels),
    "none": lambda *_: nn.Identity(),
}
CENTRING_NORMS = ("batch", "instance")  # they subtract each channel's mean, and with it any bias before them
