"""The transformer that TransUNet puts at the bottleneck, between a convolutional encoder and the usual decoder."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.core.config import Config
from ushape.nets.grid import resize_to
from ushape.nets.ndim import LAYERS, Dim


class TransformerConfig(Config):
    """The size of a vision transformer.

    Attributes:
        width: channels of a token, a multiple of `heads`.
        depth: layers.
        hidden: channels within a layer's perceptron.
        grid: positions learnt per axis; a bottleneck of another size gets them interpolated.
    """

    width: int = Field(256, ge=1)
    depth: int = Field(4, ge=1)
    heads: int = Field(8, ge=1)
    hidden: int = Field(1024, ge=1)
    grid: int = Field(14, ge=1)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"expected a width that {self.heads} heads can share, got {self.width}")
        return self


class Transformer(nn.Module):
    """Turn the voxels of a bottleneck into tokens, let them attend to each other, and turn them back.

    Shapes:
        input, output: (b, channels, *space)
    Source: Chen et al. 2021, arXiv:2102.04306, sec. 3.2, with one voxel per patch; our way back is a 1x1 convolution.

    >>> Transformer(3, 8, TransformerConfig(width=16, depth=1))(torch.zeros(1, 8, 2, 3, 4)).shape
    torch.Size([1, 8, 2, 3, 4])
    """

    def __init__(self, ndim: Dim, channels: int, config: TransformerConfig) -> None:
        super().__init__()
        conv = LAYERS[ndim].conv
        self.embed = conv(channels, config.width, 1)
        self.positions = nn.Parameter(torch.zeros(1, config.width, *[config.grid] * ndim))
        self.layers = nn.Sequential(*(TransformerLayer(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)
        self.back = conv(config.width, channels, 1)

    def start_neutral(self) -> None:
        """Give every position a small random mark."""
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """Attend over all voxels."""
        embedded = self.embed(x)
        tokens = (embedded + resize_to(self.positions, x.shape[2:])).flatten(2).transpose(1, 2)
        seen = self.norm(self.layers(tokens)).transpose(1, 2).reshape(embedded.shape)
        out: Tensor = self.back(seen)
        return out


class TransformerLayer(nn.Module):
    """Self-attention over tokens, then a perceptron on each; both normed before and added.

    Shapes:
        input, output: (b, tokens, width)
    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, eq. 2 and 3.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, width))

    def forward(self, tokens: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """Apply both halves."""
        tokens = tokens + self._attend(self.norm_attention(tokens))
        out: Tensor = tokens + self.perceptron(self.norm_perceptron(tokens))
        return out

    def _attend(self, tokens: Tensor) -> Tensor:
        parts = self.query_key_value(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts.unbind())
        out: Tensor = self.project(seen.transpose(1, 2).flatten(2))
        return out
