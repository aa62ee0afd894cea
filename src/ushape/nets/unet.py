"""One U-Net for two and three dimensions; every choice is a field of `UNetConfig`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor, nn

from ushape.core.config import choose
from ushape.core.errors import DataError, ShapeError
from ushape.nets.attention import AttentionGate, SelfAttention
from ushape.nets.blocks import ConvSpec, Stage
from ushape.nets.config import DecoderConfig, UNetConfig
from ushape.nets.decoder import Decode, DecodeSpec
from ushape.nets.encoders import Encoder, PlainEncoder, TimmEncoder, VGGEncoder
from ushape.nets.fusion import LevelSum, Pyramid
from ushape.nets.grid import Space, ceil_divide, crop_to, fit_space, is_exporting, pad_to
from ushape.nets.init import initialise, start_linear
from ushape.nets.ndim import LAYERS, PerAxis
from ushape.nets.sizes import check_valid, input_space
from ushape.nets.transunet import Transformer

__all__ = ["DecoderConfig", "UNet", "UNetConfig"]


class UNet(nn.Module):
    """The U-Net of Ronneberger et al. 2015, arXiv:1505.04597, with its later variations.

    With padded convolutions any size is taken: a small image is padded on entry, and the logits get the image's size.
    Unpadded ones take the sizes of `valid_sizes`.

    Shapes:
        input:  (b, in_channels, *space)
        output: (b, classes, *space) logits; a list, finest first, if deeply supervised and training

    >>> import torch
    >>> UNet(UNetConfig(ndim=3, widths=(4, 8)))(torch.zeros(1, 1, 8, 9, 10)).shape
    torch.Size([1, 2, 8, 9, 10])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = make_encoder(config)
        self.bottleneck = choose(config.bottleneck, BOTTLENECKS, "bottleneck")(config, self.encoder.widths[-1])
        pyramid = config.fusion == "pyramid"
        self.pyramid = Pyramid(config.ndim, self.encoder.widths, config.fusion_width) if pyramid else None
        specs = decode_specs(config, self.pyramid.widths if self.pyramid else self.encoder.widths)
        self.decoder = nn.ModuleList(Decode(spec, config) for spec in specs)
        widths = [spec.out for spec in specs]
        self.sum = LevelSum(config.ndim, widths, config.fusion_width) if config.fusion == "sum" else None
        self.heads = make_heads(config, widths)
        initialise(self)
        self._apply_switches()

    def _apply_switches(self) -> None:
        for stage in self.modules():
            if isinstance(stage, Stage):
                stage.recompute = self.config.checkpointing
        if self.config.freeze_encoder:
            self.encoder.requires_grad_(False)
            self.encoder.eval()

    def start_neutral(self) -> None:
        """Let the first logits be small."""
        for head in self.heads:
            start_linear(head)

    def train(self, mode: bool = True) -> UNet:
        """Switch to training; a frozen encoder stays as it is, its norm statistics too."""
        super().train(mode)
        if self.config.freeze_encoder:
            self.encoder.eval()
        return self

    def forward(self, x: Float[Tensor, "b c *space"]) -> Tensor | list[Tensor]:
        """Return logits."""
        self._check(x)
        supervised = self.training and self.config.deep_supervision
        heads = self.heads if supervised else self.heads[:1]
        logits = [head(level) for head, level in zip(heads, self.features(x), strict=False)]
        if self.config.block.padding == "same":
            steps = cumulate(self.encoder.strides)
            logits = [cut_back(each, x.shape[2:], step) for each, step in zip(logits, steps, strict=False)]
        return logits if supervised else logits[0]

    def features(self, x: Float[Tensor, "b c *space"]) -> list[Tensor]:
        """Return what the heads see: the features of every decoder level, finest first."""
        features = self.encoder(self._enlarge(x) if self.config.block.padding == "same" else x)
        features[-1] = self.bottleneck(features[-1])
        levels = self._ascend(self.pyramid(features) if self.pyramid else features)
        return [self.sum(levels), *levels[1:]] if self.sum else levels

    def input_space(self, space: Sequence[int]) -> tuple[int, ...]:
        """Return the smallest image size whose logits cover `space`; padded networks keep sizes, unpadded ones shrink.

        >>> block = {"padding": "valid", "norm": "none"}
        >>> UNet(UNetConfig(widths=(2, 3, 4, 5, 6), block=block, align="crop")).input_space((388, 388))
        (572, 572)
        """
        return input_space(self.config, space)

    def _ascend(self, features: list[Tensor]) -> list[Tensor]:
        *skips, x = features
        levels: list[Tensor] = []
        for decode, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = decode(x, skip)
            levels.insert(0, x)
        return levels

    def _enlarge(self, x: Tensor) -> Tensor:
        """Pad an image so that the coarsest level has two voxels along every axis.

        One voxel has no variance to divide by, and exported graphs freeze axes of size 1.
        """
        return pad_to(x, self.padded_space(x.shape[2:]))

    def padded_space(self, space: Space) -> Sequence[int]:
        """Return the size to which an image is padded on entry; unpadded networks leave it as it is."""
        if self.config.block.padding != "same":
            return space
        coarsest = cumulate(self.encoder.strides)[-1]
        multiple = coarsest if self.encoder.exact else (1,) * len(coarsest)
        return fit_space(space, least=[2 * step for step in coarsest], multiple=multiple)

    def _check(self, x: Tensor) -> None:
        config = self.config
        if x.ndim != config.ndim + 2 or x.shape[1] != config.in_channels:
            sizes = ", ".join(["size"] * config.ndim)
            raise ShapeError(
                f"UNet: expected an image of shape (batch, {config.in_channels}, {sizes}), got {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise DataError(f"UNet: expected an image of floating-point numbers, got {x.dtype}; convert it: x.float()")
        if is_exporting():
            return
        if 0 in x.shape:
            raise ShapeError(f"UNet: expected at least one image and one voxel, got shape {tuple(x.shape)}")
        if config.block.padding == "valid":
            check_valid(config, tuple(x.shape), training=self.training)

    @contextmanager
    def watch_gates(self) -> Iterator[dict[str, Tensor]]:
        """Collect the logits of every attention gate in the forward passes within the block, for an auxiliary loss.

        Yields:
            A dictionary that fills as the network runs: name of the gate -> (b, 1, *coarse) logits, with gradient.
        """
        logits: dict[str, Tensor] = {}
        gates = {name: gate for name, gate in self.named_modules() if isinstance(gate, AttentionGate)}
        hooks = [gate.score.register_forward_hook(_keep(name, logits)) for name, gate in gates.items()]
        try:
            yield logits
        finally:
            for hook in hooks:
                hook.remove()


def _keep(name: str, kept: dict[str, Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(_: nn.Module, __: object, output: Tensor) -> None:
        kept[name] = output

    return hook


def cut_back(logits: Tensor, space: Space, step: PerAxis) -> Tensor:
    """Give the logits of one level the extent of the image: cut what entry padding added, repeat what a crop took."""
    want = [ceil_divide(size, times) for size, times in zip(space, step, strict=True)]
    return crop_to(pad_to(logits, want, "replicate"), want, centred=False)


def cumulate(strides: Sequence[PerAxis]) -> list[PerAxis]:
    """Return how many times coarser than the image every level is, per axis.

    >>> cumulate([(1, 1), (1, 2), (2, 2)])
    [(1, 1), (1, 2), (2, 4)]
    """
    steps = [strides[0]]
    for stride in strides[1:]:
        steps.append(tuple(above * times for above, times in zip(steps[-1], stride, strict=True)))
    return steps


def make_encoder(config: UNetConfig) -> Encoder:
    """Build the encoder that a config names, with random weights."""
    kind, _, _ = config.encoder.partition(":")
    return choose(kind, ENCODERS, "encoder")(config)


def make_plain_encoder(config: UNetConfig) -> Encoder:
    """Build an encoder of our own blocks."""
    ins = (config.in_channels, *config.widths)
    levels = zip(ins, config.widths, config.level_kernels, config.level_strides, strict=False)
    return PlainEncoder([ConvSpec(*level) for level in levels], config.block, config.level_repeats, config.down)


def make_heads(config: UNetConfig, widths: list[int]) -> nn.ModuleList:
    """Build the convolutions that end in logits: for the finest level, and for those that are supervised."""
    count = (config.supervised_levels or len(widths)) if config.deep_supervision else 1
    finest = config.fusion_width if config.fusion == "sum" else widths[0]
    conv = LAYERS[config.ndim].conv
    return nn.ModuleList(conv(width, config.classes, 1) for width in [finest, *widths[1:]][:count])


def decode_specs(config: UNetConfig, skips: tuple[int, ...]) -> list[DecodeSpec]:
    """Describe the decoder's steps, finest first, for an encoder with these widths."""
    out = config.decoder.widths or config.widths[:-1]
    levels = zip((*out[1:], skips[-1]), skips, out, config.level_kernels, config.level_strides[1:], strict=False)
    return [DecodeSpec(*level) for level in levels]


ENCODERS: dict[str, Callable[[UNetConfig], Encoder]] = {
    "plain": make_plain_encoder,
    "vgg16": lambda config: VGGEncoder(config.in_channels, len(config.widths), norm=False),
    "vgg16_bn": lambda config: VGGEncoder(config.in_channels, len(config.widths), norm=True),
    "timm": lambda config: TimmEncoder(config.encoder[5:], config.in_channels, len(config.widths)),
}
BOTTLENECKS: dict[str, Callable[[UNetConfig, int], nn.Module]] = {
    "none": lambda *_: nn.Identity(),
    "attention": lambda config, width: SelfAttention(config.ndim, width),
    "transformer": lambda config, width: Transformer(config.ndim, width, config.transformer),
}
