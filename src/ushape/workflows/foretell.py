"""What a training step will take of the memory there is, and what to change where that is too much."""

from __future__ import annotations

import itertools

from ushape.core.config import parse_assignment, with_fields
from ushape.core.events import Message
from ushape.plan.recipe import Recipe
from ushape.train.probe import AUTOCAST, MachineFacts
from ushape.workflows.memory import GIB, estimate_step

RESERVE = 0.9
"""The share of a machine's memory that advice may fill: the system needs some, and estimates are some percent off."""


def foretell_memory(recipe: Recipe, machine: MachineFacts) -> Message:
    """Say what a step will take; where that is more than there is, what would fit and how much that takes.

    The advice comes before the start: a system that has no memory left may kill the program without a word.
    """
    needed = estimate_step(recipe, machine.device).total / GIB
    said = f"about {_round(needed)} GB of memory for a step"
    if needed <= machine.memory_gb:
        return Message(said)
    return Message(f"{said}, but {machine.device} has {machine.memory_gb:g}: {_advise(recipe, machine)}", "warning")


def _advise(recipe: Recipe, machine: MachineFacts) -> str:
    """Name every change that fits with some reserve; if none does, the first and smallest set of changes that does."""
    changes = _savings(recipe)
    least = _with(recipe, changes, machine.device)
    if least > RESERVE * machine.memory_gb:
        return f"even {_write(changes)} together take {_round(least)}; choose a smaller net, by net.widths"
    found = []
    for count in range(1, len(changes) + 1):
        for names in itertools.combinations(changes, count):
            chosen = {name: changes[name] for name in names}
            taken = _with(recipe, chosen, machine.device)
            if taken <= RESERVE * machine.memory_gb and count > 1:
                return f"{_write(chosen)} together take {_round(taken)}"
            if taken <= RESERVE * machine.memory_gb:
                found.append(f"{_write(chosen)} takes {_round(taken)}")
        if found:
            break
    return ", ".join(found)


def _savings(recipe: Recipe) -> dict[str, str]:
    """List changes that take less memory, as for --set."""
    patches, net = recipe.patches, recipe.net
    half = {"patches.batch": str(patches.batch // 2)} if patches.batch > 1 else {}
    again = {} if net.checkpointing else {"net.checkpointing": "true"}
    mixed = {} if recipe.train.precision in AUTOCAST else {"train.precision": "bf16"}
    return {**half, "patches.size": f"[{','.join(map(str, halved(patches.size)))}]", **again, **mixed}


def _with(recipe: Recipe, changes: dict[str, str], device: str) -> float:
    assigned = dict(parse_assignment(f"{name}={value}") for name, value in changes.items())
    return estimate_step(with_fields(recipe, assigned), device).total / GIB


def _write(changes: dict[str, str]) -> str:
    return " ".join(f"--set {name}={value}" for name, value in changes.items())


def _round(gigabytes: float) -> str:
    return f"{gigabytes:.0f}" if gigabytes >= 10 else f"{gigabytes:.2g}"


def halved(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return half a patch's edges, eight at least.

    >>> halved((128, 12))
    (64, 8)
    """
    return tuple(max(length // 2, 8) for length in size)
