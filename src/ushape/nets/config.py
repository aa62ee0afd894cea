"""The one config of the family. It has a file of its own because encoder, decoder and sizes are read from it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ushape.core.config import Config, unknown
from ushape.nets.attention import GateConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.encoders import VGG16, Down
from ushape.nets.join import Align, Skip, Up
from ushape.nets.ndim import Dim, PerAxis
from ushape.nets.transunet import TransformerConfig

ENCODER_NAMES = ("plain", "vgg16", "vgg16_bn", "timm:NAME")


class DecoderConfig(Config):
    """Where the decoder differs from the encoder.

    Attributes:
        widths: channels per level, finest first; () for those of the net.
        convs: convolutions per block; 0 for as many as in the encoder.
        residual: follow `block.residual`; false keeps the decoder plain.
        middle: channels between the convolutions of a block: those it returns, or half of those it gets.
        grow: channels behind the upsampling: those of the level it comes to, or of the one it came from.
    """

    widths: tuple[int, ...] = ()
    convs: int = Field(0, ge=0)
    residual: bool = True
    middle: Literal["out", "half_in"] = "out"
    grow: Literal["fine", "coarse"] = "fine"


class UNetConfig(Config):
    """The shape of a U-Net. Per-level values start at full resolution, per-axis values follow the array's axes.

    Attributes:
        classes: channels of the logits; the background counts.
        widths: channels per level. Beside another encoder than "plain", which has its own, they are the decoder's, and
            their number is the depth.
        repeats: blocks per level of the encoder; () for one each.
        kernels: kernel per level and axis; () for 3 everywhere.
        strides: how many times coarser than the one above each level is, per axis; the first is 1; () for 2 everywhere.
        encoder: "plain", "vgg16", "vgg16_bn", or "timm:NAME" for any pyramid of timm; all but "plain" are 2D.
        encoder_weights: "none", "pretrained" (timm downloads them), or a file.
        freeze_encoder: keep the encoder as it is, its norm statistics too.
        bottleneck: what the coarsest level passes before the decoder.
        up_kernel: of the convolution that goes with linear and nearest upsampling; 0 for none.
        align_corners: of linear upsampling; needed only to match published networks.
        align: what to do where decoder and skip differ in size.
        adjust_skip: bring the skip to the decoder's channels by a 1x1 convolution.
        fusion: "pyramid" passes coarse encoder levels down to the finer ones before the decoder; "sum" adds up all
            levels of the decoder before the head.
        fusion_width: channels that all levels get for it.
        deep_supervision: while training, return the logits of lower levels too.
        supervised_levels: how many levels that is, from the finest on; 0 for all of the decoder.
        checkpointing: while training, compute blocks twice instead of keeping their activations.
    """

    ndim: Dim = 2
    in_channels: int = Field(1, ge=1)
    classes: int = Field(2, ge=1)
    widths: tuple[int, ...] = Field((32, 64, 128, 256), min_length=2)
    repeats: tuple[int, ...] = ()
    kernels: tuple[tuple[int, ...], ...] = ()
    strides: tuple[tuple[int, ...], ...] = ()
    block: BlockConfig = BlockConfig()
    encoder: str = "plain"
    encoder_weights: str = "none"
    freeze_encoder: bool = False
    down: Down = "max"
    bottleneck: Literal["none", "attention", "transformer"] = "none"
    transformer: TransformerConfig = TransformerConfig()
    up: Up = "transpose"
    up_kernel: Literal[0, 1, 3] = 1
    align_corners: bool = False
    skip: Skip = "concat"
    gate: GateConfig = GateConfig()
    align: Align = "pad"
    adjust_skip: bool = False
    decoder: DecoderConfig = DecoderConfig()
    fusion: Literal["none", "pyramid", "sum"] = "none"
    fusion_width: int = Field(64, ge=1)
    deep_supervision: bool = False
    supervised_levels: int = Field(0, ge=0)
    checkpointing: bool = False

    @property
    def level_strides(self) -> tuple[PerAxis, ...]:
        """The strides with the default written out."""
        return self.strides or ((1,) * self.ndim, *[(2,) * self.ndim] * (len(self.widths) - 1))

    @property
    def level_kernels(self) -> tuple[PerAxis, ...]:
        """The kernels with the default written out."""
        return self.kernels or ((3,) * self.ndim,) * len(self.widths)

    @property
    def level_repeats(self) -> tuple[int, ...]:
        """The blocks per level with the default written out."""
        return self.repeats or (1,) * len(self.widths)

    @field_validator("encoder")
    @classmethod
    def _encoder_is_known(cls, name: str) -> str:
        if name not in ENCODER_NAMES[:-1] and not name.startswith("timm:"):
            raise ValueError(unknown("encoder", name, ENCODER_NAMES))
        return name

    @field_validator("widths", "repeats")
    @classmethod
    def _numbers_are_positive(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if min(numbers, default=1) < 1:
            raise ValueError("expected positive numbers")
        return numbers

    @model_validator(mode="after")
    def _levels_agree(self) -> UNetConfig:
        levels = len(self.widths)
        for name in ("repeats", "kernels", "strides"):
            if getattr(self, name) and len(getattr(self, name)) != levels:
                raise ValueError(f"expected {name} for {levels} levels, as many as widths")
        if self.decoder.widths and len(self.decoder.widths) != levels - 1:
            raise ValueError(f"expected decoder.widths for {levels - 1} levels, one less than widths")
        if self.supervised_levels > levels - 1:
            raise ValueError(f"expected at most {levels - 1} supervised_levels, as the decoder has")
        return self

    @model_validator(mode="after")
    def _axes_agree(self) -> UNetConfig:
        for name in ("kernels", "strides"):
            if any(len(row) != self.ndim or min(row) < 1 for row in getattr(self, name)):
                raise ValueError(f"expected {name} of {self.ndim} positive numbers per level, one for each axis")
        if any(size % 2 == 0 for row in self.kernels for size in row):
            raise ValueError("expected odd kernels: even ones have no centre")
        if self.strides and max(self.strides[0]) > 1:
            raise ValueError("expected the first strides to be 1: the first level has the image's resolution")
        return self

    @model_validator(mode="after")
    def _valid_convolutions_fit(self) -> UNetConfig:
        if self.block.padding == "same":
            return self
        if self.align != "crop" or self.deep_supervision or self.fusion != "none" or self.encoder != "plain":
            raise ValueError(
                "block.padding 'valid' shows every level another region: it needs align 'crop', encoder 'plain', "
                "fusion 'none' and no deep_supervision"
            )
        return self

    @model_validator(mode="after")
    def _encoder_fits(self) -> UNetConfig:
        if self.encoder == "plain":
            if self.encoder_weights != "none":
                raise ValueError("encoder 'plain' has no pretrained weights; set encoder_weights to 'none'")
            return self
        if self.ndim == 3:
            raise ValueError(f"encoder {self.encoder!r} is 2D; take encoder 'plain', or ndim 2 to go slice by slice")
        if self.repeats or self.kernels or self.strides or self.down != "max":
            raise ValueError(f"encoder {self.encoder!r} has its own repeats, kernels, strides and down; leave them out")
        if self.encoder.startswith("vgg") and len(self.widths) > len(VGG16):
            raise ValueError(f"encoder {self.encoder!r} has {len(VGG16)} levels; give as many widths, or fewer")
        return self
