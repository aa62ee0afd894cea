"""Attention: to channels and voxels in a block, to a skip connection, and between the voxels of a bottleneck."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.core.config import Config
from ushape.nets.grid import resize_to
from ushape.nets.init import start_linear
from ushape.nets.ndim import LAYERS, Dim, PerAxis, spatial_max, spatial_mean

FEWEST = 4  # channels an attention works on: the ReLUs of fewer may all be dead from the start


class SqueezeExcite(nn.Module):
    """Reweight the channels by their global means.

    Shapes:
        input, output: (b, channels, *space)
    Source: Hu et al. 2018, arXiv:1709.01507, eq. 2-4.
    """

    def __init__(self, ndim: Dim, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.weigh = nn.Sequential(*channel_mlp(ndim, channels, reduction), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Scale each channel by a number in (0, 1)."""
        weights: Tensor = self.weigh(spatial_mean(x))
        return x * weights


class CBAM(nn.Module):
    """Reweight first the channels, then the voxels, each by means and maxima.

    Shapes:
        input, output: (b, channels, *space)
    Source: Woo et al. 2018, arXiv:1807.06521, eq. 2 and 3; the spatial convolution has a bias instead of a norm.
    """

    def __init__(self, ndim: Dim, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.mlp = nn.Sequential(*channel_mlp(ndim, channels, reduction))
        self.spatial = LAYERS[ndim].conv(2, 1, kernel, padding=kernel // 2)

    def start_neutral(self) -> None:
        """Keep the map's logits small."""
        start_linear(self.spatial)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Scale the channels, then the voxels."""
        x = x * torch.sigmoid(self.mlp(spatial_mean(x)) + self.mlp(spatial_max(x)))
        seen = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(seen))


class SpatialChannelExcite(nn.Module):
    """Reweight the channels and the voxels side by side, and add the two.

    Shapes:
        input, output: (b, channels, *space)
    Source: Roy et al. 2018, arXiv:1803.02579, sec. 2.3 (scSE by addition).
    """

    def __init__(self, ndim: Dim, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channel = nn.Sequential(*channel_mlp(ndim, channels, reduction))
        self.spatial = LAYERS[ndim].conv(channels, 1, 1)

    def start_neutral(self) -> None:
        """Keep the map's logits small."""
        start_linear(self.spatial)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Scale by the sum of a weight per channel and a weight per voxel."""
        return x * (torch.sigmoid(self.channel(spatial_mean(x))) + torch.sigmoid(self.spatial(x)))


def channel_mlp(ndim: Dim, channels: int, reduction: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Build the two-layer perceptron that turns one number per channel into another."""
    conv, hidden = LAYERS[ndim].conv, max(channels // reduction, FEWEST)
    return conv(channels, hidden, 1), nn.ReLU(), conv(hidden, channels, 1)


class GateConfig(Config):
    """How an attention gate on a skip connection is made.

    Attributes:
        reduction: the gate works on the skip's channels divided by this, on four at least.
        widths: channels of a skip and those its gate works on, for skips that are to differ from that: ((256, 128),).
        norm: batch norm after each of its convolutions.
    """

    reduction: int = Field(4, ge=1)
    widths: tuple[tuple[PositiveInt, PositiveInt], ...] = ()
    norm: bool = False

    def width(self, skip: int) -> int:
        """Return how many channels the gate of a skip works on.

        >>> GateConfig(widths=((256, 128),)).width(256), GateConfig(widths=((256, 128),)).width(64)
        (128, 16)
        """
        return dict(self.widths).get(skip, max(skip // self.reduction, FEWEST))


class AttentionMap(nn.Module):
    """Turn a gate's logits into its map on the skip's grid; a module of its own, so that a hook sees the map."""

    def forward(
        self, logits: Float[Tensor, "b 1 *coarse"], skip: Float[Tensor, "b c *space"]
    ) -> Float[Tensor, "b 1 *space"]:
        """Squash to (0, 1), then interpolate linearly."""
        return resize_to(torch.sigmoid(logits), skip.shape[2:])


class AttentionGate(nn.Module):
    """Let the coarser decoder level choose which voxels of a skip pass.

    With s the skip and g the coarser level: `skip * up(sigmoid(score(relu(from_skip(s) + from_gate(g)))))`, where
    `from_skip` strides down to the grid of g. The last layer starts at zero, so every voxel starts at 0.5. Hooks:
    `score` shows the logits on the coarse grid, `map` the map on the skip's grid.

    Shapes:
        skip: (b, skip, *space); gate: (b, gate, *coarse); output: (b, skip, *space)
    Source: Oktay et al. 2018, arXiv:1804.03999, eq. 1 and 2; without its convolution behind the gate.
    """

    def __init__(self, skip: int, gate: int, stride: PerAxis, config: GateConfig) -> None:
        super().__init__()
        ndim, hidden = len(stride), config.width(skip)
        self.from_skip = gate_conv(skip, hidden, stride, config)
        self.from_gate = gate_conv(gate, hidden, (1,) * ndim, config)
        self.score = gate_conv(hidden, 1, (1,) * ndim, config)
        self.map = AttentionMap()
        self.start_neutral()

    def start_neutral(self) -> None:
        """Zero the last layer: its norm if there is one, since a zero convolution before a norm blows gradients up."""
        for parameter in self.score[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, skip: Float[Tensor, "b c *space"], gate: Float[Tensor, "b g *coarse"]
    ) -> Float[Tensor, "b c *space"]:
        """Scale the skip by the map."""
        local = self.from_skip(skip)
        logits = self.score(F.relu(local + resize_to(self.from_gate(gate), local.shape[2:])))
        attention: Tensor = self.map(logits, skip)
        return skip * attention


def gate_conv(in_channels: int, out_channels: int, stride: PerAxis, config: GateConfig) -> nn.Sequential:
    """Build a convolution whose kernel is its stride, with batch norm if asked for."""
    layers = LAYERS[len(stride)]
    conv = layers.conv(in_channels, out_channels, stride, stride=stride, bias=not config.norm)
    return nn.Sequential(conv, layers.batch_norm(out_channels)) if config.norm else nn.Sequential(conv)


class SelfAttention(nn.Module):
    """Let every voxel of a bottleneck look at every other one.

    Query and key have an eighth of the channels; the result is added with a weight that starts at 0. Memory grows with
    the square of the number of voxels.

    Shapes:
        input, output: (b, channels, *space)
    Source: Zhang et al. 2019, arXiv:1805.08318, eq. 1-3 (no scale before the softmax).
    """

    def __init__(self, ndim: Dim, channels: int) -> None:
        super().__init__()
        conv, inner = LAYERS[ndim].conv, max(channels // 8, 1)
        self.query = conv(channels, inner, 1)
        self.key = conv(channels, inner, 1)
        self.value = conv(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def start_neutral(self) -> None:
        """Add nothing at first, and look at no voxel in particular."""
        nn.init.zeros_(self.gamma)
        start_linear(self.query)
        start_linear(self.key)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Add `gamma` times the attended values."""
        query, key, value = (self._tokens(part(x)) for part in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * seen.transpose(2, 3).reshape(x.shape)

    @staticmethod
    def _tokens(x: Tensor) -> Tensor:
        """Turn voxels into one head of tokens: `(b, c, *space) -> (b, 1, voxels, c)`."""
        return x.flatten(2).transpose(1, 2).unsqueeze(1)
