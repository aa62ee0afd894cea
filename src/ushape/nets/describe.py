"""Say in a few words what a layer does, for tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from ushape.nets import ndim
from ushape.nets.attention import CBAM, AttentionGate, AttentionMap, SelfAttention, SpatialChannelExcite, SqueezeExcite
from ushape.nets.blocks import ConvUnit, ResidualBlock
from ushape.nets.encoders import TimmEncoder
from ushape.nets.fusion import LevelSum
from ushape.nets.join import InterpolatedUp, Join, ShuffleUp, concatenate
from ushape.nets.norm import InstanceNorm
from ushape.nets.transunet import Transformer, TransformerLayer

Words = Callable[[Any], str]
SILENT = (nn.Identity, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Dropout2d, nn.Dropout3d, AttentionMap)


def describe(module: nn.Module) -> str:
    """Say what a module does.

    >>> describe(nn.MaxPool3d((1, 2, 2)))
    'max pool 1x2x2'
    """
    for types, words in WORDS:
        if isinstance(module, types):
            return words(module)
    return type(module).__name__


def describe_all(modules: Iterable[nn.Module]) -> str:
    """Name modules that follow each other, without those that do nothing."""
    return ", ".join(describe(module) for module in modules if not isinstance(module, nn.Identity))


def describe_conv(conv: Any) -> str:
    """Name kernel and stride of a convolution."""
    kind = "transposed conv" if isinstance(conv, ndim.TRANSPOSED_CONVOLUTIONS) else "conv"
    stride = f" /{times(conv.stride)}" if max(conv.stride) > 1 else ""
    return f"{kind} {times(conv.kernel_size)}{stride}"


def describe_interpolation(up: Any) -> str:
    """Name the interpolation and the convolution that goes with it."""
    grown = f"{up.mode} x{times(int(factor) for factor in up.factors)}"
    return ", ".join(part for part in (describe_all([up.before]), grown, describe_all([up.after])) if part)


def describe_join(join: Any) -> str:
    """Name the way of joining."""
    return "concatenate skip" if join.merge is concatenate else "add skip"


def times(sizes: Any) -> str:
    """Write sizes as 3x3x3."""
    return "x".join(str(size) for size in sizes)


def fixed(words: str) -> Words:
    """Describe every module of a type by the same words."""
    return lambda _: words


WORDS: tuple[tuple[tuple[type[nn.Module], ...], Words], ...] = (
    ((ConvUnit,), lambda unit: describe_all([unit.conv, unit.norm, unit.activation])),
    ((ResidualBlock,), lambda block: ", ".join(filter(None, [describe_all(block.shortcut), "add shortcut"]))),
    ((InterpolatedUp,), describe_interpolation),
    ((ShuffleUp,), lambda up: f"{describe(up.conv)}, pixel shuffle x{times(up.factors)}"),
    ((Join,), describe_join),
    ((AttentionGate,), fixed("attention gate")),
    ((SqueezeExcite,), fixed("squeeze-excite")),
    ((CBAM,), fixed("CBAM")),
    ((SpatialChannelExcite,), fixed("scSE")),
    ((SelfAttention,), fixed("self-attention")),
    ((TransformerLayer,), lambda layer: f"transformer layer, {layer.heads} heads"),
    ((Transformer,), fixed("tokens and back")),
    ((LevelSum,), fixed("sum of all levels")),
    ((TimmEncoder,), lambda encoder: f"timm {encoder.name}"),
    ((*ndim.PLAIN_CONVOLUTIONS, *ndim.TRANSPOSED_CONVOLUTIONS), describe_conv),
    (ndim.MAX_POOLS, lambda pool: f"max pool {times(pool.kernel_size)}"),
    (ndim.AVERAGE_POOLS, lambda pool: f"average pool {times(pool.kernel_size)}"),
    (ndim.BATCH_NORMS, fixed("batch norm")),
    ((InstanceNorm,), fixed("instance norm")),
    ((nn.GroupNorm,), lambda norm: f"group norm {norm.num_groups}"),
    ((nn.ReLU,), fixed("ReLU")),
    ((nn.LeakyReLU,), fixed("leaky ReLU")),
    ((nn.GELU,), fixed("GELU")),
)
ROWS = tuple(kind for types, _ in WORDS[:14] for kind in types)
