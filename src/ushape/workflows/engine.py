"""A network and its recipe as an engine: on which sizes it runs, and what it takes off them."""

from __future__ import annotations

from itertools import accumulate
from operator import le, mul

import torch
from torch import nn

from ushape.core.errors import ConfigError
from ushape.core.layout import CHANNELS_LAST
from ushape.nets.ndim import PLAIN_CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from ushape.nets.sizes import valid_sizes
from ushape.plan.recipe import Recipe
from ushape.predict.torch_engine import AUTOCAST, Precision, TorchEngine, default_precision

IN_AUTOCAST = (*PLAIN_CONVOLUTIONS, *TRANSPOSED_CONVOLUTIONS, nn.Linear)
"""The layers whose weights autocast would cast in every pass."""


def make_engine(net: nn.Module, recipe: Recipe, device: str) -> TorchEngine:
    """Wrap a network for prediction, in the precision that is fast on the device."""
    margin, count = window_margin(recipe), recipe.data.labels.count
    return TorchEngine(net, count, margin=margin, device=device, precision=default_precision(device))


def make_settled_engine(net: nn.Module, recipe: Recipe, device: str) -> TorchEngine:
    """Wrap a network that serves for nothing but prediction, see `settle`."""
    engine = make_engine(net, recipe, device)
    settle(engine.net, recipe.net.ndim, device, engine.precision)
    return engine


def settle(net: nn.Module, ndim: int, device: str, precision: Precision) -> nn.Module:
    """Bring weights, in place, into the layout and precision of prediction, which else is done anew for every window.

    The network is good for prediction only from then on.
    """
    innermost = CHANNELS_LAST[ndim + 2] if torch.device(device).type == "cpu" else torch.preserve_format
    for layer in net.modules():
        dtype = AUTOCAST.get(precision) if isinstance(layer, IN_AUTOCAST) else None
        for name, weight in layer.named_parameters(recurse=False):
            layout = innermost if weight.ndim == ndim + 2 else torch.preserve_format
            settled = weight.detach().to(dtype or weight.dtype, memory_format=layout)
            setattr(layer, name, nn.Parameter(settled, requires_grad=False))
    return net


def window_margin(recipe: Recipe) -> tuple[int, ...]:
    """Return what unpadded convolutions take off a window at each side; () for padded ones."""
    if not is_unpadded(recipe):
        return ()
    axes = zip(recipe.predict.window.size, valid_sizes(recipe.net), strict=True)
    return tuple((size - sizes.output(size)) // 2 for size, sizes in axes)


def check_sizes(recipe: Recipe) -> None:
    """Refuse patches that have less than one voxel for the deepest level, and what unpadded convolutions cannot take.

    Raises:
        ConfigError: a size does not fit; the message names those that do.
    """
    _check_depth(recipe)
    if is_unpadded(recipe):
        for name, size in (("patches.size", recipe.patches.size), ("predict.window.size", recipe.predict.window.size)):
            _check_size(name, size, recipe)


def _check_depth(recipe: Recipe) -> None:
    size, levels = recipe.patches.size, len(recipe.net.widths)
    totals = list(accumulate(recipe.net.level_strides, lambda one, other: tuple(map(mul, one, other))))
    fitting = sum(all(map(le, total, size)) for total in totals)  # totals grow, so these are the first
    if fitting < levels:
        needed = tuple(map(max, size, totals[-1]))
        raise ConfigError(
            f"net.widths: expected at most {fitting} levels for patches of {'x'.join(map(str, size))}, got {levels}, "
            f"whose deepest would be smaller than a voxel; name {fitting} widths, or "
            f"--set patches.size={list(needed)}"
        )


def is_unpadded(recipe: Recipe) -> bool:
    """Say whether the net's convolutions lose voxels at the border."""
    return recipe.net.block.padding == "valid"


def _check_size(name: str, size: tuple[int, ...], recipe: Recipe) -> None:
    for length, sizes in zip(size, valid_sizes(recipe.net), strict=True):
        if not sizes.output(length):
            fits = " or ".join(str(each) for each in sizes.nearest(length))
            raise ConfigError(
                f"{name}: expected sizes that fit unpadded convolutions, got {length}; nearest: --set {name} to {fits}"
            )
