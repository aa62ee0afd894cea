"""How decisions are shown, and why the settings that no rule decides are as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from pydantic import BaseModel

from ushape.plan.recipe import Reasons, Recipe

HABITS: Reasons = {
    "data.validation": "cases that judge each epoch and are never trained on; at least one",
    "data.groups": "several images of one patient? name it here, so that none is on both sides",
    "prep.resample.kernel": "of images; labels are resampled class by class, so that no new value appears",
    "prep.resample.coarse": "thick slices have little to do with each other",
    "net.down": "has no weights, and costs least",
    "net.skip": "keeps what both sides know",
    "net.align": "so that images of any size go in, and come out as large",
    "net.block.bias": "a norm would subtract it again",
    "net.checkpointing": "true saves memory for about a third more time",
    "loss.dice.over": "steadier than each patch by itself, where classes are rare",
    "loss.class_weights": "Dice is there for rare classes; name one weight per class to change that",
    "patches.foreground": "every step sees foreground, however rare it is",
    "augment.warp.flip": "mirror images show the same things; false where left must stay left",
    "augment.warp.rotation": "and more below: every movement and change strikes a patch with its own probability",
    "train.patience": "validations without gain",
    "train.clip": "one bad batch cannot throw the weights off",
    "train.average": "averaged weights are better and steadier than the last ones",
    "train.optim.optimizer": "learns more in each step than adamw, which suits weights that were learnt elsewhere",
    "train.optim.lr": "what suits the optimiser; write a number to change it",
    "train.precision": "measured on this machine at the start",
    "train.layout": "measured on this machine at the start",
    "train.seed": "same seed, same data, same machine: same weights",
    "predict.threshold": "the likeliest class",
    "predict.mirror": "true, or --mirror, is slower by 2 for each axis and often a little better",
}
"""Dotted field to why its default is what it is; what a rule decides has a reason of its own."""


def show_decisions(recipe: Recipe, reasons: Reasons) -> str:
    r"""Write what was decided, one line each with its reason: a recipe that names some choices only.

    >>> show_decisions(Recipe(), {"net.up": "because", "predict.window.size": "as trained"})
    'net.up = "transpose" # because\npredict.window.size = [256, 256] # as trained\n'
    """
    order = list(_fields(recipe.model_dump(mode="json"), ""))
    ranked = sorted(reasons, key=lambda name: order.index(name) if name in order else len(order))
    return "".join(f"{name} = {_inline(value_at(recipe, name))} # {reasons[name]}\n" for name in ranked)


def explain_habits(recipe: Recipe, planned: Recipe, reasons: Reasons) -> Reasons:
    """Add to the reasons of decisions those of settings that stayed as they are by default."""
    kept = {name: reason for name, reason in HABITS.items() if value_at(recipe, name) == value_at(planned, name)}
    return kept | dict(reasons)


def value_at(recipe: Recipe, dotted: str) -> Any:
    """Return a field of a recipe by its dotted name."""
    value: Any = recipe
    for name in dotted.split("."):
        value = getattr(value, name)
    return value


def _fields(table: Mapping[str, Any], prefix: str) -> list[str]:
    names = []
    for key, value in table.items():
        names += [prefix + key, *(_fields(value, f"{prefix}{key}.") if isinstance(value, dict) else ())]
    return names


def _inline(value: Any) -> str:
    """Write a value as TOML on one line; of a table inside a value only what differs from its default, and its name."""
    if isinstance(value, BaseModel):
        fields = value.model_dump(mode="json", exclude_defaults=True)
        return _inline({"name": value.name} | fields if hasattr(value, "name") else fields)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return str(tomlkit.item(value).as_string())
