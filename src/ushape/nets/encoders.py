"""What reads the image: pyramids of features, finest first. The only file that imports timm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ushape.core.config import choose, unknown
from ushape.core.errors import ConfigError, ModelFileError, require
from ushape.nets.blocks import BlockConfig, ConvSpec, make_stage
from ushape.nets.ndim import LAYERS, MAX_POOLS, Make, PerAxis
from ushape.nets.weights import adapt_channels, load_weights, read_foreign

Down = Literal["max", "average", "stride"]
POOLS: dict[str, Make] = {
    "max": lambda factors: LAYERS[len(factors)].max_pool(factors, factors),
    "average": lambda factors: LAYERS[len(factors)].average_pool(factors, factors),
    "stride": lambda _: nn.Identity(),  # the convolution behind it has the stride
}


class Encoder(nn.Module):
    """A network that returns one tensor per level, finest first. Abstract.

    Attributes:
        widths: channels per level; 0 for a level that has a grid but no features.
        strides: how many times coarser than the level above each level is, per axis; 1 for the first.
        exact: its sizes are right only for inputs that all strides divide.
        one_size: why a graph of it holds at one size of image only; "" where it holds at all.
    """

    widths: tuple[int, ...]
    strides: tuple[PerAxis, ...]
    exact: bool
    one_size: str = ""

    @abstractmethod
    def forward(self, x: Float[Tensor, "b c *space"]) -> list[Tensor]:
        """Return the features of every level."""


class PlainEncoder(Encoder):
    """Blocks with a pooling before each but the first, or a stride in the first convolution of each.

    Shapes:
        input: (b, in_channels, *space); output: a list of (b, width, *space / strides so far)
    Source: Ronneberger et al. 2015, arXiv:1505.04597, fig. 1 (left); strides as in Isensee et al. 2021,
        doi:10.1038/s41592-020-01008-z.
    """

    def __init__(self, specs: Sequence[ConvSpec], block: BlockConfig, repeats: Sequence[int], down: Down) -> None:
        super().__init__()
        self.widths = tuple(spec.out_channels for spec in specs)
        self.strides = tuple(spec.stride for spec in specs)
        self.exact = down == "stride"
        self.stem = make_stem(specs[0], block) if block.residual else nn.Identity()
        if block.residual:
            specs = [specs[0].follow(specs[0].out_channels), *specs[1:]]
        if down != "stride":
            specs = [replace(spec, stride=(1,) * spec.ndim) for spec in specs]
        self.downs = nn.ModuleList(choose(down, POOLS, "down")(stride) for stride in self.strides[1:])
        self.levels = nn.ModuleList(make_stage(spec, block, n) for spec, n in zip(specs, repeats, strict=True))

    def forward(self, x: Float[Tensor, "b c *space"]) -> list[Tensor]:
        """Return the features of every level."""
        features = [self.levels[0](self.stem(x))]
        for down, level in zip(self.downs, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features


def make_stem(spec: ConvSpec, block: BlockConfig) -> nn.Module:
    """Build the convolution before residual blocks: an image has nothing to add to features."""
    changes = {"convs": 1, "residual": False, "attention": "none", "dropout": 0.0}
    return make_stage(spec, block.model_copy(update=changes))


VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGGEncoder(Encoder):
    """The convolutions of VGG16, level by level, under the names that torchvision gives them.

    Shapes:
        input: (b, in_channels, h, w); output: up to five of (b, width, h / 2**level, w / 2**level)
    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, table 1 (D).
    """

    def __init__(self, in_channels: int, levels: int, *, norm: bool) -> None:
        super().__init__()
        if levels > len(VGG16):
            raise ConfigError(f"encoder vgg16 has {len(VGG16)} levels, but widths has {levels}; give fewer widths")
        self.widths = tuple(convs[-1] for convs in VGG16[:levels])
        self.strides = ((1, 1), *[(2, 2)] * (levels - 1))
        self.exact = False
        self.features = nn.Sequential(*vgg_layers(in_channels, levels, norm=norm))

    def forward(self, x: Float[Tensor, "b c *space"]) -> list[Tensor]:
        """Return what stands before each pooling, and at the end."""
        features: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, MAX_POOLS):
                features.append(x)
            x = layer(x)
        return [*features, x]


def vgg_layers(in_channels: int, levels: int, *, norm: bool) -> list[nn.Module]:
    """List the layers in torchvision's order, so that their positions are its names."""
    make, layers = LAYERS[2], []
    for level, convs in enumerate(VGG16[:levels]):
        layers += [make.max_pool((2, 2), (2, 2))] if level else []
        for width in convs:
            layers.append(make.conv(in_channels, width, 3, padding=1))
            layers += [make.batch_norm(width)] if norm else []
            layers.append(nn.ReLU())
            in_channels = width
    return layers


RANDOM: Mapping[str, Any] = {"pretrained": False}


class TimmEncoder(Encoder):
    """Any network of timm that gives a pyramid of features.

    Levels finer than its first features have a grid but no channels: there the decoder goes on alone.

    Shapes:
        input: (b, in_channels, h, w); output: `levels` of (b, width, h / 2**level, w / 2**level)
    Source: Wightman 2019, doi:10.5281/zenodo.4414861.
    """

    keeps_init = True

    def __init__(self, name: str, in_channels: int, levels: int) -> None:
        super().__init__()
        self.name, self.in_channels = name, in_channels
        net = make_timm(name, in_channels, levels, RANDOM)
        self.net: nn.Module = net
        self.widths = level_widths(net.feature_info, levels)
        self.strides = ((1, 1), *[(2, 2)] * (levels - 1))
        self.exact = True
        self.one_size = say_one_size(name, net)
        self.channels_last = str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """Return the features of every level, empty where the network has none."""
        found = iter(self.net(x))
        return [
            self._channels_first(next(found)) if width else x[:, :0, :: 2**level, :: 2**level]
            for level, width in enumerate(self.widths)
        ]

    def _channels_first(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2) if self.channels_last else x


def make_timm(name: str, in_channels: int, levels: int, source: Mapping[str, Any]) -> Any:
    """Build the first `levels` levels of a network of timm.

    Args:
        source: where its weights come from, in timm's own words.
    Raises:
        MissingExtra: timm is not installed.
        ConfigError: timm does not know the name, the network takes images of one size only, or its features are no
            pyramid of so many levels.
    """
    timm = require("timm", "encoders", f"encoder timm:{name}")
    if not timm.is_model(name):
        raise ConfigError(unknown("timm encoder", name, timm.list_models()))
    options = {"in_chans": in_channels, "features_only": True, **source}
    if has_fixed_size(name):
        options["dynamic_img_size"] = True
    try:
        net = timm.create_model(name, **options)
    except TypeError as error:  # it does not know an option
        raise ConfigError(
            f"encoder timm:{name}: expected a network for images of any size, got one for a fixed size ({error}); "
            "take another, such as timm:resnet18 or timm:swin_tiny_patch4_window7_224"
        ) from error
    indices = [index for index, step in enumerate(net.feature_info.reduction()) if step < 2**levels]
    check_pyramid(name, net.feature_info.reduction(), levels)
    return net if len(indices) == len(net.feature_info) else timm.create_model(name, out_indices=indices, **options)


def say_one_size(name: str, net: nn.Module) -> str:
    """Say why torch would reason without end about a network of timm whose size is a symbol; "" where it does not."""
    if has_fixed_size(name) or any(hasattr(module, "window_size") for module in net.modules()):
        return "attends within small windows of its own, whose number follows the size"
    if any(type(module).__name__.endswith("2dSame") for module in net.modules()):  # as timm names all such layers
        return "pads each of its layers by as much as the size asks for"
    return ""


def has_fixed_size(name: str) -> bool:
    """Tell whether a network of timm takes images of one size unless told otherwise."""
    fixed: bool = require("timm", "encoders", f"encoder timm:{name}").get_pretrained_cfg(name).fixed_input_size
    return fixed


def level_widths(info: Any, levels: int) -> tuple[int, ...]:
    """Return the channels of each level, 0 where the network has none."""
    found = dict(zip(info.reduction(), info.channels(), strict=True))
    return tuple(found.get(2**level, 0) for level in range(levels))


def check_pyramid(name: str, reductions: list[int], levels: int) -> None:
    """Refuse a network whose features do not halve their size from one to the next down to the last level."""
    first = reductions[0]
    if reductions != [first * 2**step for step in range(len(reductions))] or 2 ** (levels - 1) not in reductions:
        raise ConfigError(
            f"encoder timm:{name}: expected features {2 ** (levels - 1)} times coarser than the image for {levels} "
            f"widths, got {reductions}; change the number of widths or take another encoder"
        )


def load_encoder(encoder: nn.Module, source: str) -> None:
    """Load pretrained weights into an encoder.

    Args:
        source: "pretrained" for those that timm downloads, or a file in torchvision's or timm's own format.
    Raises:
        ConfigError: the encoder has no pretrained weights.
        ModelFileError: the file, or the download, cannot be read or does not fit.
    """
    if isinstance(encoder, TimmEncoder):
        load_timm(encoder, source)
    elif isinstance(encoder, VGGEncoder) and source != "pretrained":
        load_vgg(encoder, Path(source))
    else:
        raise ConfigError(
            f"encoder_weights {source!r}: expected a file and encoder 'vgg16', or encoder 'timm:NAME'; set it to 'none'"
        )


def load_vgg(encoder: VGGEncoder, path: Path) -> None:
    """Load a VGG16 of torchvision; its classifier and the levels that are not used are left out."""
    weights = {key: value for key, value in read_foreign(path).items() if key.startswith("features.")}
    own = encoder.state_dict()
    deepest = max(int(key.split(".")[1]) for key in own)
    weights = {key: value for key, value in weights.items() if int(key.split(".")[1]) <= deepest}
    first = "features.0.weight"
    if first in weights:
        weights[first] = adapt_channels(weights[first], own[first].shape[1])
    load_weights(encoder, weights, str(path))


def load_timm(encoder: TimmEncoder, source: str) -> None:
    """Load weights as timm does, then make sure that none of the encoder's was left out."""
    wanted: dict[str, Any] = {"pretrained": True}
    if source != "pretrained":
        wanted["pretrained_cfg_overlay"] = {"state_dict": read_foreign(Path(source))}
    arguments = (encoder.name, encoder.in_channels, len(encoder.widths))
    try:
        loaded, random = (make_timm_seeded(*arguments, each).state_dict() for each in (wanted, RANDOM))
    except (RuntimeError, OSError) as error:
        raise ModelFileError(f"{source}: weights for timm:{encoder.name} cannot be loaded ({error})") from error
    left = [key for key, value in random.items() if value.ndim > 1 and torch.equal(value, loaded[key])]
    if left:
        raise ModelFileError(f"{source}: the weights do not fit timm:{encoder.name}; missing: {', '.join(left[:5])}")
    encoder.net.load_state_dict(loaded)


def make_timm_seeded(name: str, in_channels: int, levels: int, source: Mapping[str, Any]) -> nn.Module:
    """Build a network of timm whose random weights are always the same, without touching the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = make_timm(name, in_channels, levels, source)
        return net
