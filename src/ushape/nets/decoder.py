"""The way up: one step per level."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ushape.core.config import choose
from ushape.nets.blocks import ConvSpec, Stage, make_stage
from ushape.nets.config import UNetConfig
from ushape.nets.join import UPS, Join, JoinSpec, UpSpec, align
from ushape.nets.ndim import PerAxis


@dataclass(frozen=True)
class DecodeSpec:
    """What one step of a decoder turns into what: channels, and the size of its kernels and its step."""

    coarse: int
    skip: int
    out: int
    kernel: PerAxis
    stride: PerAxis


class Decode(nn.Module):
    """One step up: grow, align, join, convolve.

    Shapes:
        x: (b, coarse, *coarser); skip: (b, skip, *space); output: (b, out, *space)
    Source: Ronneberger et al. 2015, arXiv:1505.04597, fig. 1 (right).
    """

    def __init__(self, spec: DecodeSpec, config: UNetConfig) -> None:
        super().__init__()
        self.align, self.centred = config.align, config.block.padding == "valid"
        up = up_spec(spec, config)
        self.up = choose(config.up, UPS, "up")(up)
        join = JoinSpec(up.grown_channels, spec.skip, spec.coarse, spec.stride)
        self.join = Join(join, config.skip, config.gate, adjust=config.adjust_skip)
        self.block = make_decoder_block(self.join.out_channels, spec, config)

    def forward(self, x: Float[Tensor, "b c *coarser"], skip: Float[Tensor, "b s *space"]) -> Tensor:
        """Go one level up."""
        grown, skip = align(self.up(x), skip, self.align, centred=self.centred)
        out: Tensor = self.block(self.join(grown, skip, x))
        return out


def up_spec(spec: DecodeSpec, config: UNetConfig) -> UpSpec:
    """Describe the upsampling of one step."""
    width = spec.out if config.decoder.grow == "fine" else spec.coarse
    kernel = config.up_kernel if config.up in ("linear", "nearest") else 1
    return UpSpec(spec.coarse, width, spec.stride, kernel, config.align_corners)


def make_decoder_block(in_channels: int, spec: DecodeSpec, config: UNetConfig) -> Stage:
    """Build the block of one step."""
    block, decoder = config.block, config.decoder
    changes = {
        "convs": decoder.convs or block.convs,
        "residual": block.residual and decoder.residual,
        "middle": decoder.middle,
    }
    conv = ConvSpec(in_channels, spec.out, spec.kernel, (1,) * len(spec.kernel))
    return make_stage(conv, block.model_copy(update=changes))
