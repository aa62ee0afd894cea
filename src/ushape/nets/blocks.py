"""The convolution blocks every network of the family is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ushape.core.config import Config, choose
from ushape.core.errors import ConfigError
from ushape.nets.attention import CBAM, SpatialChannelExcite, SqueezeExcite
from ushape.nets.grid import crop_to
from ushape.nets.ndim import BATCH_NORMS, LAYERS, Dim, Make, PerAxis
from ushape.nets.norm import CENTRING_NORMS, NORMS

ACTIVATIONS: dict[str, Make] = {  # in place where it is possible: `activate` takes care of hooks
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, inplace=True),
    "gelu": nn.GELU,
}
ATTENTIONS: dict[str, Make] = {"se": SqueezeExcite, "cbam": CBAM, "scse": SpatialChannelExcite}


class BlockConfig(Config):
    """How every convolution block of one network is made.

    Attributes:
        convs: convolutions per block.
        middle: channels between them: those the block returns, half of those, or half of those it gets.
        padding: "same" keeps the size; "valid" loses kernel - 1 voxels per convolution and axis.
        bias: of the convolutions; "auto" leaves it out where batch or instance norm would subtract it again.
        dropout: probability of zeroing a whole channel at the end of a block.
        residual: add the block's input to its output.
        attention: reweighting at the end of a block.
        reduction: how many times fewer channels the attention works on.
    """

    convs: int = Field(2, ge=1)
    middle: Literal["out", "half_out", "half_in"] = "out"
    padding: Literal["same", "valid"] = "same"
    norm: Literal["batch", "instance", "group", "none"] = "instance"
    activation: Literal["relu", "leaky_relu", "gelu"] = "leaky_relu"
    bias: Literal["auto", "on", "off"] = "auto"
    dropout: float = Field(0.0, ge=0, lt=1)
    residual: bool = False
    attention: Literal["none", "se", "cbam", "scse"] = "none"
    reduction: int = Field(16, ge=1)

    @property
    def has_bias(self) -> bool:
        """Whether the convolutions have a bias."""
        return self.norm not in CENTRING_NORMS if self.bias == "auto" else self.bias == "on"


@dataclass(frozen=True)
class ConvSpec:
    """What a block turns into what: channels, and kernel and stride per axis (of the first convolution)."""

    in_channels: int
    out_channels: int
    kernel: PerAxis
    stride: PerAxis

    @property
    def ndim(self) -> Dim:
        """The number of spatial axes."""
        return cast("Dim", len(self.kernel))

    def follow(self, out_channels: int) -> ConvSpec:
        """Describe a convolution behind this one, at its resolution."""
        return ConvSpec(self.out_channels, out_channels, self.kernel, (1,) * self.ndim)


MIDDLES: dict[str, Callable[[ConvSpec], int]] = {
    "out": lambda spec: spec.out_channels,
    "half_out": lambda spec: spec.out_channels // 2,
    "half_in": lambda spec: spec.in_channels // 2,
}


class ConvUnit(nn.Module):
    """Convolution, norm, activation.

    Shapes:
        input: (b, in_channels, *space); output: (b, out_channels, *space / stride)
    """

    def __init__(self, spec: ConvSpec, config: BlockConfig, *, activated: bool = True) -> None:
        super().__init__()
        self.conv = LAYERS[spec.ndim].conv(
            spec.in_channels,
            spec.out_channels,
            spec.kernel,
            stride=spec.stride,
            padding=tuple(size // 2 for size in spec.kernel) if config.padding == "same" else 0,
            bias=config.has_bias,
        )
        self.norm = choose(config.norm, NORMS, "norm")(spec.ndim, spec.out_channels)
        self.activation = choose(config.activation, ACTIVATIONS, "activation")() if activated else nn.Identity()

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d *out"]:
        """Apply the three in turn."""
        return activate(self.activation, self.norm(self.conv(x)), self.conv, self.norm)


def activate(activation: nn.Module, x: Tensor, *makers: nn.Module) -> Tensor:
    """Apply an activation that may overwrite `x`; a copy of it if a hook on what made `x` may have kept that."""
    out: Tensor = activation(x.clone() if any(map(is_watched, makers)) else x)
    return out


def is_watched(module: nn.Module) -> bool:
    """Tell whether a module has hooks that see its output."""
    return bool(module._forward_hooks or module._backward_hooks)  # noqa: SLF001 - no public way to ask


class ConvBlock(nn.Sequential):
    """`convs` times (convolution, norm, activation), then dropout and attention if asked for.

    Shapes:
        input: (b, in_channels, *space); output: (b, out_channels, *space / stride), smaller if padding is "valid"
    Source: Ronneberger et al. 2015, arXiv:1505.04597, sec. 2; norm as in Cicek et al. 2016, arXiv:1606.06650.

    >>> import torch
    >>> spec = ConvSpec(1, 8, kernel=(3, 3, 3), stride=(1, 2, 2))
    >>> ConvBlock(spec, BlockConfig())(torch.zeros(1, 1, 5, 8, 8)).shape
    torch.Size([1, 8, 5, 4, 4])
    """

    def __init__(self, spec: ConvSpec, config: BlockConfig) -> None:
        super().__init__(*conv_units(spec, config), *block_end(spec, config))


class ResidualBlock(nn.Module):
    """A block whose input is added to its output before the last activation.

    Where sizes differ the shortcut is average-pooled, where channels differ it is projected by a 1x1 convolution.

    Shapes:
        input: (b, in_channels, *space); output: (b, out_channels, *space / stride), smaller if padding is "valid"
    Source: He et al. 2019, arXiv:1812.01187, fig. 2c (ResNet-D), as in Isensee et al. 2024, arXiv:2404.09556.
    """

    def __init__(self, spec: ConvSpec, config: BlockConfig) -> None:
        super().__init__()
        *units, last = conv_units(spec, config)
        last.activation = nn.Identity()
        self.body = nn.Sequential(*units, last, *block_end(spec, config))
        self.shortcut = nn.Sequential(*shortcut_layers(spec, config))
        self.activation = choose(config.activation, ACTIVATIONS, "activation")()

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d *out"]:
        """Add the shortcut, then activate."""
        body = self.body(x)
        shortcut = crop_to(self.shortcut(x), body.shape[2:], centred=True)
        return activate(self.activation, body + shortcut)


def conv_units(spec: ConvSpec, config: BlockConfig) -> list[ConvUnit]:
    """Build the convolutions of a block, one after the other."""
    middle = choose(config.middle, MIDDLES, "middle")(spec)
    if middle < 1:
        raise ConfigError(f"middle {config.middle!r}: expected channels to halve, got 1; take 'out', or more channels")
    widths = [*[middle] * (config.convs - 1), spec.out_channels]
    specs = [ConvSpec(spec.in_channels, widths[0], spec.kernel, spec.stride)]
    for width in widths[1:]:
        specs.append(specs[-1].follow(width))
    return [ConvUnit(each, config) for each in specs]


def block_end(spec: ConvSpec, config: BlockConfig) -> list[nn.Module]:
    """Build what stands behind the convolutions of a block."""
    layers: list[nn.Module] = []
    if config.dropout:
        layers.append(LAYERS[spec.ndim].dropout(config.dropout))
    if config.attention != "none":
        make = choose(config.attention, ATTENTIONS, "attention")
        layers.append(make(spec.ndim, spec.out_channels, config.reduction))
    return layers


def shortcut_layers(spec: ConvSpec, config: BlockConfig) -> list[nn.Module]:
    """Build what a residual block's input needs to fit its output."""
    layers: list[nn.Module] = []
    if math.prod(spec.stride) > 1:
        layers.append(LAYERS[spec.ndim].average_pool(spec.stride, spec.stride))
    if spec.in_channels != spec.out_channels:
        layers.append(
            LAYERS[spec.ndim].conv(spec.in_channels, spec.out_channels, 1, bias=config.norm not in CENTRING_NORMS)
        )
        layers.append(choose(config.norm, NORMS, "norm")(spec.ndim, spec.out_channels))
    return layers


def make_block(spec: ConvSpec, config: BlockConfig) -> ConvBlock | ResidualBlock:
    """Build one block, plain or residual."""
    return (ResidualBlock if config.residual else ConvBlock)(spec, config)


class Stage(nn.Sequential):
    """The blocks of one level.

    Attributes:
        recompute: while training, compute them twice instead of keeping their activations.
    """

    recompute = False

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d *out"]:
        """Apply the blocks in turn."""
        run: Callable[[Tensor], Tensor] = super().forward
        if self.recompute and self.training and torch.is_grad_enabled():
            run = partial(checkpoint, run, use_reentrant=False, context_fn=lambda: (nullcontext(), still_norms(self)))
        return run(x)


@contextmanager
def still_norms(module: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norms as they are: a second computation must not count twice."""
    norms = [each for each in module.modules() if isinstance(each, BATCH_NORMS)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def make_stage(spec: ConvSpec, config: BlockConfig, repeats: int = 1) -> Stage:
    """Build `repeats` blocks of one level; the first changes channels and resolution."""
    later = [spec.follow(spec.out_channels)] * (repeats - 1)
    return Stage(*(make_block(each, config) for each in (spec, *later)))
