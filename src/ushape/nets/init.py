"""How weights start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ushape.nets.ndim import BATCH_NORMS, PLAIN_CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from ushape.nets.norm import InstanceNorm


@runtime_checkable
class StartsNeutral(Protocol):
    """A module that knows better how some of its layers start."""

    def start_neutral(self) -> None:
        """Set them."""
        ...


class Undrawn(TorchFunctionMode):
    """Leave weights as memory has them while a network is built: they are about to be loaded."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do nothing to a parameter that would be filled or drawn."""
        given = kwargs or {}
        first = args[0] if args else given.get("tensor")
        if isinstance(first, nn.Parameter) and getattr(func, "__name__", "") in DRAWING:
            return first
        return func(*args, **given)


DRAWING = ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "erfinv_", "mul_", "add_", "clamp_")
"""What fills a tensor with its first numbers, by any of torch's recipes."""


def initialise(module: nn.Module) -> None:
    """Start convolutions for ReLU behind them, norms as the identity, and every gate neutral.

    A module that has `keeps_init` is left as it is: it brings its own or pretrained weights.
    Source: He et al. 2015, arXiv:1502.01852, eq. 14 (fan_out).
    """
    if getattr(module, "keeps_init", False):
        return
    for child in module.children():
        initialise(child)
    for types, start in STARTS:
        if isinstance(module, types):
            start(module)
    if isinstance(module, StartsNeutral):
        module.start_neutral()


def start_convolution(conv: nn.Module) -> None:
    """Keep the variance of gradients through a convolution and a ReLU; bias 0."""
    nn.init.kaiming_normal_(weight_of(conv), mode="fan_out", nonlinearity="relu")
    start_bias(conv)


def start_transposed(conv: nn.Module) -> None:
    """Do the same for a transposed convolution, whose weight has its outputs where torch looks for inputs."""
    nn.init.kaiming_normal_(weight_of(conv), mode="fan_in", nonlinearity="relu")
    start_bias(conv)


def start_linear(layer: nn.Module) -> None:
    """Keep the variance through a layer without ReLU behind it; bias 0.

    For the layers that end in logits: few outputs make fan_out large, and first logits of tens.
    """
    nn.init.kaiming_normal_(weight_of(layer), mode="fan_in", nonlinearity="linear")
    start_bias(layer)


def start_dense(layer: nn.Module) -> None:
    """Start a layer of a transformer. Source: Dosovitskiy et al. 2020, arXiv:2010.11929, as in its code."""
    nn.init.trunc_normal_(weight_of(layer), std=0.02)
    start_bias(layer)


def start_norm(norm: nn.Module) -> None:
    """Let a norm begin without scale and shift."""
    if getattr(norm, "weight", None) is not None:
        nn.init.ones_(weight_of(norm))
    start_bias(norm)


def start_bias(layer: nn.Module) -> None:
    """Zero a bias, if there is one."""
    if isinstance(getattr(layer, "bias", None), Tensor):
        nn.init.zeros_(cast("Tensor", layer.bias))


def weight_of(layer: nn.Module) -> Tensor:
    """Return a layer's weight."""
    return cast("Tensor", layer.weight)


STARTS: tuple[tuple[tuple[type[nn.Module], ...], Callable[[nn.Module], None]], ...] = (
    (PLAIN_CONVOLUTIONS, start_convolution),
    (TRANSPOSED_CONVOLUTIONS, start_transposed),
    ((nn.Linear,), start_dense),
    ((*BATCH_NORMS, InstanceNorm, nn.GroupNorm, nn.LayerNorm), start_norm),
)
