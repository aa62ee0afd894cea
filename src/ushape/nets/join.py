"""How the decoder meets the encoder: grow, align the sizes, join the skip."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.core.config import choose
from ushape.nets.attention import AttentionGate, GateConfig
from ushape.nets.grid import crop_to, pad_to, resize_to
from ushape.nets.ndim import LAYERS, PerAxis, depth_to_space

Up = Literal["transpose", "linear", "nearest", "shuffle"]
Skip = Literal["concat", "add", "gate"]
Align = Literal["pad", "crop", "resize"]


@dataclass(frozen=True)
class UpSpec:
    """What an upsampling turns into what; `kernel` and `align_corners` are for linear and nearest."""

    in_channels: int
    out_channels: int
    factors: PerAxis
    kernel: int = 1
    align_corners: bool = False

    @property
    def grown_channels(self) -> int:
        """Channels after growing; an interpolation without a convolution keeps them."""
        return self.out_channels if self.kernel else self.in_channels


@dataclass(frozen=True)
class JoinSpec:
    """The channels that meet in a join, and how many times coarser the level below is."""

    channels: int
    skip: int
    coarse: int
    factors: PerAxis


class TransposedUp(nn.Sequential):
    """Grow by a transposed convolution whose kernel is its stride, so that no voxels overlap.

    Source: Ronneberger et al. 2015, arXiv:1505.04597 ("up-convolution").
    """

    def __init__(self, spec: UpSpec) -> None:
        conv = LAYERS[len(spec.factors)].conv_transpose
        super().__init__(conv(spec.in_channels, spec.out_channels, spec.factors, stride=spec.factors))


class ShuffleUp(nn.Module):
    """Grow by moving channels into space.

    Source: Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, spec: UpSpec) -> None:
        super().__init__()
        self.factors = spec.factors
        out_channels = spec.out_channels * math.prod(spec.factors)
        self.conv = LAYERS[len(spec.factors)].conv(spec.in_channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d *fine"]:
        """Widen, then shuffle."""
        return depth_to_space(self.conv(x), self.factors)


class InterpolatedUp(nn.Module):
    """Grow by interpolation, with a convolution that changes the channels.

    A 1x1 convolution stands before the interpolation: the result is the same, and it has fewer voxels to work on.
    Source: Odena et al. 2016, doi:10.23915/distill.00003 (resize, then convolve).
    """

    def __init__(self, spec: UpSpec, mode: str) -> None:
        super().__init__()
        self.factors, self.mode = [float(factor) for factor in spec.factors], mode
        self.corners = None if mode == "nearest" else spec.align_corners
        layer = make_up_conv(spec)
        self.before = layer if spec.kernel == 1 else nn.Identity()
        self.after = layer if spec.kernel > 1 else nn.Identity()

    def forward(self, x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b d *fine"]:
        """Interpolate and convolve."""
        x = F.interpolate(self.before(x), scale_factor=self.factors, mode=self.mode, align_corners=self.corners)
        out: Tensor = self.after(x)
        return out


def make_up_conv(spec: UpSpec) -> nn.Module:
    """Build the convolution that goes with an interpolation; none if its kernel is 0."""
    if spec.kernel == 0:
        return nn.Identity()
    conv = LAYERS[len(spec.factors)].conv
    return conv(spec.in_channels, spec.out_channels, spec.kernel, padding=spec.kernel // 2)


UPS: dict[str, Callable[[UpSpec], nn.Module]] = {
    "transpose": TransposedUp,
    "linear": lambda spec: InterpolatedUp(spec, LAYERS[len(spec.factors)].linear_mode),
    "nearest": lambda spec: InterpolatedUp(spec, "nearest"),
    "shuffle": ShuffleUp,
}


def align(
    x: Float[Tensor, "b c *space"], skip: Float[Tensor, "b d *larger"], kind: Align, *, centred: bool = True
) -> tuple[Tensor, Tensor]:
    """Give `x`, which is never the larger, and `skip` one size: pad or resize `x`, or crop `skip`.

    Args:
        centred: crop from the centre, right where unpadded convolutions lost voxels on both sides; else from voxel 0
            on, right where a pooling dropped the last voxel.

    >>> import torch
    >>> a, b = align(torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 7, 5), "crop")
    >>> a.shape[2:] == b.shape[2:] == (4, 4)
    True
    """
    if kind == "crop":
        return x, crop_to(skip, x.shape[2:], centred=centred)
    return (pad_to if kind == "pad" else resize_to)(x, skip.shape[2:]), skip


def concatenate(x: Tensor, skip: Tensor) -> Tensor:
    """Put the skip's channels before those of the decoder."""
    return torch.cat([skip, x], dim=1)


MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": concatenate,
    "gate": concatenate,
    "add": torch.add,
    "none": lambda x, _: x,
}


class Join(nn.Module):
    """Join decoder features with the skip: concatenate, add, or gate the skip and concatenate.

    A level of the encoder without features has no skip: then the decoder's features pass alone.

    Args:
        adjust: bring the skip to the decoder's channels by a 1x1 convolution first; an addition does so where it must.
    Shapes:
        x: (b, channels, *space); skip: (b, skip, *space); coarse, the level below: (b, coarse, *coarser)
        output: (b, out_channels, *space)
    """

    def __init__(self, spec: JoinSpec, kind: Skip, gate: GateConfig, *, adjust: bool = False) -> None:
        super().__init__()
        gated, added = kind == "gate" and spec.skip > 0, kind == "add"
        must = (adjust or added) and spec.skip not in (0, spec.channels)
        self.merge = choose(kind if spec.skip else "none", MERGES, "skip")
        self.gate = AttentionGate(spec.skip, spec.coarse, spec.factors, gate) if gated else None
        self.adjust = LAYERS[len(spec.factors)].conv(spec.skip, spec.channels, 1) if must else nn.Identity()
        joined = 0 if added else spec.channels if must else spec.skip
        self.out_channels = spec.channels + joined

    def forward(
        self, x: Float[Tensor, "b c *space"], skip: Float[Tensor, "b s *space"], coarse: Float[Tensor, "b g *coarser"]
    ) -> Float[Tensor, "b d *space"]:
        """Join the two."""
        if self.gate is not None:
            skip = self.gate(skip, coarse)
        return self.merge(x, self.adjust(skip))
