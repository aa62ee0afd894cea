"""Which sizes a network takes and gives, in integers, without a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ushape.core.errors import ShapeError
from ushape.nets.config import UNetConfig
from ushape.nets.ndim import PerAxis

_SEARCH = 4096  # voxels to look ahead for a size that fits


@dataclass(frozen=True)
class AxisLevel:
    """What one level does to the size of one axis."""

    kernel: int
    stride: int
    convs: int
    decoder_convs: int


@dataclass(frozen=True)
class ValidSizes:
    """The sizes along one axis of a network of unpadded convolutions.

    Attributes:
        levels: finest first.
        strided: whether the first convolution of a level does the downsampling, rather than a pooling before it.
    """

    levels: tuple[AxisLevel, ...]
    strided: bool

    def stages(self, size: int) -> list[int]:
        """Return the size behind every level, down and up again; empty if the input does not fit.

        >>> level = AxisLevel(kernel=3, stride=2, convs=2, decoder_convs=2)
        >>> ValidSizes((level, level), strided=False).stages(20)
        [16, 4, 4]
        """
        down = self._descend(size)
        up = self._ascend(down) if down else []
        return [*down, *up] if up else []

    def _descend(self, size: int) -> list[int]:
        sizes: list[int] = []
        for index, level in enumerate(self.levels):
            convs, stride = level.convs, level.stride if index else 1
            if self.strided and stride > 1:
                size, convs = (size - level.kernel) // stride + 1, convs - 1
            elif size % stride:
                return []
            else:
                size //= stride
            size -= convs * (level.kernel - 1)
            if size < 1:
                return []
            sizes.append(size)
        return sizes

    def _ascend(self, down: list[int]) -> list[int]:
        sizes: list[int] = []
        size = down[-1]
        for skip, fine, coarse in zip(down[-2::-1], self.levels[-2::-1], self.levels[:0:-1], strict=True):
            size *= coarse.stride
            if (skip - size) % 2 or skip < size:
                return []
            size -= fine.decoder_convs * (fine.kernel - 1)
            if size < 1:
                return []
            sizes.append(size)
        return sizes

    def output(self, size: int) -> int:
        """Return the size of the logits; 0 if the input does not fit."""
        return self.stages(size)[-1] if self.stages(size) else 0

    def input_for(self, output: int) -> int:
        """Return the smallest input whose logits are at least `output` long.

        >>> level = AxisLevel(kernel=3, stride=2, convs=2, decoder_convs=2)
        >>> ValidSizes((level,) * 5, strided=False).input_for(388)
        572
        """
        return next(size for size in range(output, output + _SEARCH) if self.output(size) >= output)

    def nearest(self, size: int) -> list[int]:
        """Return the sizes that fit next below and next above."""
        below = (each for each in range(size, 0, -1) if self.output(each))
        above = (each for each in range(size, size + _SEARCH) if self.output(each))
        return sorted({*list(islice(below, 1)), *list(islice(above, 1))})


def valid_sizes(config: UNetConfig) -> tuple[ValidSizes, ...]:
    """Return which sizes a network of unpadded convolutions takes, for each axis."""
    return tuple(ValidSizes(axis_levels(config, axis), config.down == "stride") for axis in range(config.ndim))


def input_space(config: UNetConfig, space: Sequence[int]) -> tuple[int, ...]:
    """Return the smallest image size whose logits cover `space`: the same for padded networks, larger for others."""
    if config.block.padding == "same":
        return tuple(space)
    return tuple(sizes.input_for(size) for sizes, size in zip(valid_sizes(config), space, strict=True))


def output_space(config: UNetConfig, space: Sequence[int]) -> tuple[int, ...]:
    """Return the size of the logits of an image; 0 along an axis where the image does not fit."""
    if config.block.padding == "same":
        return tuple(space)
    return tuple(sizes.output(size) for sizes, size in zip(valid_sizes(config), space, strict=True))


def axis_levels(config: UNetConfig, axis: int) -> tuple[AxisLevel, ...]:
    """Describe every level of a network along one axis."""
    convs = [config.block.convs * repeats for repeats in config.level_repeats]
    convs[0] += config.block.residual  # the stem
    kernels = [kernel[axis] for kernel in config.level_kernels]
    strides = [stride[axis] for stride in config.level_strides]
    up = [config.decoder.convs or config.block.convs] * len(convs)
    return tuple(AxisLevel(*level) for level in zip(kernels, strides, convs, up, strict=True))


def check_valid(config: UNetConfig, shape: PerAxis, *, training: bool) -> None:
    """Refuse an image whose size does not fit unpadded convolutions.

    Raises:
        ShapeError: a pooling would drop a voxel, a crop would be lopsided, nothing would be left, or a norm would be
            left with one value per channel.
    """
    axes = valid_sizes(config)
    for axis, (sizes, size) in enumerate(zip(axes, shape[2:], strict=True)):
        if not sizes.output(size):
            fits = " and ".join(str(each) for each in sizes.nearest(size))
            raise ShapeError(
                f"UNet: expected a size of axis {axis} that fits unpadded convolutions, got {size}; nearest: {fits}"
            )
    levels = zip(*(sizes.stages(size) for sizes, size in zip(axes, shape[2:], strict=True)), strict=True)
    norm = starved_norm(config, shape[0], training=training)
    if norm and any(max(level) == 1 for level in levels):
        raise ShapeError(
            f"UNet: an image of shape {tuple(shape)} leaves {norm} norm one value per channel at one level, "
            "and no variance; give larger images, fewer widths or another norm"
        )


def starved_norm(config: UNetConfig, batch: int, *, training: bool) -> str:
    """Name the norm of a network that cannot work on images of one voxel; "" if all can."""
    gated = config.skip == "gate" and config.gate.norm
    norms = {config.block.norm, "batch" if gated else "none"}
    if "instance" in norms:
        return "instance"
    return "batch" if "batch" in norms and training and batch == 1 else ""
