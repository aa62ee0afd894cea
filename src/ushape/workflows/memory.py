"""How much memory a training step will take, worked out before the first."""

from __future__ import annotations

from ushape.core.config import parse_assignment, with_fields
from ushape.core.events import Message
from ushape.nets.cost import measure_cost
from ushape.plan.recipe import Recipe
from ushape.train.probe import MachineFacts

GIB = 2**30
COPIES = {"adamw": 2, "adam": 2, "muon": 1, "sgd": 1}
"""Numbers that an optimiser keeps for each weight."""
SHARE = {"float32": 1.0, "bf16": 0.6, "fp16": 0.6, "auto": 1.0}
"""Of the float32 activations: convolutions keep theirs in half as many bytes, norms and losses do not."""


def estimate_step(recipe: Recipe) -> float:
    """Estimate the GiB of one training step: activations of the batch, weights, gradients, optimiser and average."""
    cost = measure_cost(recipe.net, recipe.patches.size)
    numbers = 2 + COPIES[recipe.train.optim.optimizer] + (1 if recipe.train.average else 0)
    activations = recipe.patches.batch * cost.activation_bytes * SHARE[recipe.train.precision]
    return (activations + 4 * numbers * cost.parameters) / GIB


def foretell_memory(recipe: Recipe, machine: MachineFacts) -> Message:
    """Say what a step will take; where that is more than there is, what would take less and how much.

    The advice comes before the start: a system that has no memory left may kill the program without a word.
    """
    needed = estimate_step(recipe)
    said = f"about {needed:.2g} GB of memory for a step"
    if needed <= machine.memory_gb:
        return Message(said)
    less = [f"--set {name}={value} takes {_with(recipe, name, value):.2g}" for name, value in _savings(recipe).items()]
    return Message(f"{said}, but {machine.device} has {machine.memory_gb:g}: {', '.join(less)}", "warning")


def _savings(recipe: Recipe) -> dict[str, str]:
    """List changes that take less memory, as for --set."""
    patches, net = recipe.patches, recipe.net
    half = {"patches.batch": str(patches.batch // 2)} if patches.batch > 1 else {}
    again = {} if net.checkpointing else {"net.checkpointing": "true"}
    return {**half, "patches.size": f"[{','.join(map(str, halved(patches.size)))}]", **again}


def _with(recipe: Recipe, name: str, value: str) -> float:
    return estimate_step(with_fields(recipe, dict([parse_assignment(f"{name}={value}")])))


def halved(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return half a patch's edges, eight at least.

    >>> halved((128, 12))
    (64, 8)
    """
    return tuple(max(length // 2, 8) for length in size)
