"""Gradient flow: how much each layer would learn from one batch, and which faults keep it from learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ushape.nets.cost import find_rows

EXPLODES = 1.0
"""A step that would move a layer's weights by more than their own length."""
HARDLY = 1e-7
"""A step that moves them by less than float32 can add."""
DEAD = 0.5
"""Share of channels without any positive value from which an activation is named."""


@dataclass(frozen=True)
class LayerFlow:
    """What reaches the weights of one layer.

    Attributes:
        norm: of the gradient; NaN if none reached it.
        zeros: share of the gradient that is exactly 0.
        weight: norm of the weights.
        step: how far a step would move the weights, as a share of `weight`; NaN without weights above 0.
        fault: a key of `FAULTS`, or "".
    """

    layer: str
    norm: float
    zeros: float
    weight: float
    step: float
    fault: str


@dataclass(frozen=True)
class DeadUnits:
    """Channels of a ReLU that are 0 in the whole batch: nothing is learnt through them from it."""

    layer: str
    dead: int
    channels: int

    @property
    def fault(self) -> str:
        """A key of `FAULTS`, or ""."""
        return "dead" if self.dead >= DEAD * self.channels else ""


@dataclass(frozen=True)
class GradientFlow:
    """What one batch would teach a network."""

    loss: float
    layers: tuple[LayerFlow, ...]
    dead: tuple[DeadUnits, ...]


FAULTS: dict[str, tuple[str, str]] = {
    "missing": (
        "no gradient reaches it: it does not take part in the loss",
        "look for a detached branch; a coarse head needs deep supervision, a frozen encoder is meant to be so",
    ),
    "not finite": (
        "its gradient is not a finite number",
        "lower the rate with --lr, or check the image for extreme values with ushape data check",
    ),
    "zero": (
        "its gradient is 0: it learns nothing from this image",
        "the layer behind it has weights of 0, or all ReLUs are dead; behind a gate that starts at 0 it passes",
    ),
    "zero weights": (
        "all its weights are 0, which keeps what stands before it from learning",
        "right for the last layer of a gate before the first step, else initialise it anew",
    ),
    "exploding": (
        "one step would change it by more than its own size",
        "lower the rate with --lr, or clip gradients with --set train.clip=1",
    ),
    "dead": (
        "most of its channels are 0 in the whole batch: nothing is learnt through them",
        "lower the rate with --lr, or take --set net.block.activation=leaky_relu",
    ),
    "vanishing": ("a step changes it by less than float32 can hold", "raise the rate with --lr, or choose a norm"),
}
"""What each fault means, and what to do."""

STEPS: dict[str, Callable[[float, int], float]] = {
    "sgd": lambda norm, _: norm,
    "adam": lambda norm, count: math.sqrt(count) if norm > 0 else 0.0,
    "adamw": lambda norm, count: math.sqrt(count) if norm > 0 else 0.0,
    "muon": lambda norm, count: 0.2 * math.sqrt(count) if norm > 0 else 0.0,
}
"""How long a step is at rate 1, from the norm of the weights' gradient and how many they are: Adam moves every weight
by about the rate, whatever its gradient is, and Muon by a fifth of it."""
Measure = Callable[[Sequence[Tensor]], float]


@dataclass(frozen=True)
class Step:
    """The step that an optimiser would take; momentum is left out.

    Attributes:
        optimizer: a key of `STEPS`.
        clip: largest norm of the whole gradient; 0 does not clip.
    """

    optimizer: str = "sgd"
    rate: float = 1e-2
    clip: float = 0.0

    def length(self, gradients: Sequence[Tensor], total: float) -> float:
        """Return how far the step moves weights with these gradients, `total` being the norm of all there are."""
        share = self.clip / total if 0 < self.clip < total else 1.0
        count = sum(gradient.numel() for gradient in gradients)
        return self.rate * STEPS[self.optimizer](share * _norm(gradients), count)


def probe_gradients(net: nn.Module, measure: Callable[[], Tensor], step: Step) -> GradientFlow:
    """Compute a loss and its gradients once, and look at what reaches each layer. Nothing is changed.

    A layer is a row of the layer table; its biases and norms count as part of it, in `norm` and `zeros`.

    Args:
        measure: runs the network and returns the loss.
    """
    with watch_relus(net) as alive, torch.enable_grad():
        loss = measure()
    parameters = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    layers = judge_gradients(net, dict(zip(parameters, gradients, strict=True)), step)
    return GradientFlow(float(loss.detach()), layers, count_dead(alive))


def judge_gradients(net: nn.Module, gradients: Mapping[str, Tensor | None], step: Step) -> tuple[LayerFlow, ...]:
    """Look at what reaches each layer.

    Args:
        gradients: of the weights that are trained, by their names; None where there is none.
    """
    parameters = {name: weight for name, weight in net.named_parameters() if name in gradients}
    total = _norm([gradient for gradient in gradients.values() if gradient is not None])
    groups = group(net, parameters)
    return tuple(_look(layer, weights, gradients, lambda g: step.length(g, total)) for layer, weights in groups)


@contextmanager
def watch_relus(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Note, for every ReLU that runs within the block, which of its channels are above 0 anywhere.

    Yields:
        A dictionary that fills as the network runs: name of the ReLU -> (channels) bool.
    """
    alive: dict[str, Tensor] = {}
    relus = {name: module for name, module in net.named_modules() if isinstance(module, nn.ReLU)}
    hooks = [relu.register_forward_hook(_note_alive(name, alive)) for name, relu in relus.items()]
    try:
        yield alive
    finally:
        for hook in hooks:
            hook.remove()


def count_dead(alive: Mapping[str, Tensor]) -> tuple[DeadUnits, ...]:
    """Count the channels of each ReLU that were never above 0; those without any are left out."""
    dead = [DeadUnits(name, int((~channels).sum()), len(channels)) for name, channels in alive.items()]
    return tuple(unit for unit in dead if unit.dead)


def group(net: nn.Module, parameters: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    """Put parameters together by the row of the layer table that they belong to, in the order of the network."""
    rows, groups = find_rows(net), dict[str, dict[str, Tensor]]()
    for name, weight in parameters.items():
        owners = [row for row in rows if name.startswith(f"{row}.")]
        layer = max(owners, key=len) if owners else name
        groups.setdefault(layer, {})[name] = weight
    return list(groups.items())


def _look(
    layer: str, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None], measure: Measure
) -> LayerFlow:
    known = [gradient for name in weights if (gradient := gradients[name]) is not None]
    kernels = {name: weight for name, weight in weights.items() if weight.ndim > 1}
    size = _norm(list(kernels.values()))
    if not known:
        return LayerFlow(layer, math.nan, math.nan, size, math.nan, "missing")
    count = sum(gradient.numel() for gradient in known)
    zeros = sum(int((gradient == 0).sum()) for gradient in known) / count
    kernel_gradients = [gradient for name in kernels if (gradient := gradients[name]) is not None]
    step = measure(kernel_gradients) / size if size > 0 else math.nan
    return LayerFlow(
        layer, _norm(known), zeros, size, step, name_fault(_norm(known), size, step, has_kernel=bool(kernels))
    )


def name_fault(norm: float, weight: float, step: float, *, has_kernel: bool) -> str:
    """Name what is wrong with a layer that a gradient reached; "" if nothing is.

    >>> name_fault(3.0, 2.0, 1e-3, has_kernel=True), name_fault(1.0, 2.0, 40.0, has_kernel=True)
    ('', 'exploding')
    """
    if not math.isfinite(norm):
        return "not finite"
    if has_kernel and weight == 0:
        return "zero weights"
    if norm == 0:
        return "zero"
    if step > EXPLODES:
        return "exploding"
    return "vanishing" if step < HARDLY else ""


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.detach().double().square().sum()) for tensor in tensors))


def _note_alive(name: str, kept: dict[str, Tensor]) -> Callable[[object, object, Tensor], None]:
    def hook(_: object, __: object, output: Tensor) -> None:
        found = output.detach().amax(dim=(0, *range(2, output.ndim))) > 0
        kept[name] = found | kept[name] if name in kept else found

    return hook
