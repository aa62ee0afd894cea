"""Rules that clean predictions and the score of what they clean, written into the model for which they were chosen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import tomlkit

from ushape.core.events import Listener, Message
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.plan.recipe import Recipe
from ushape.workflows.tidy import Rules, Tidying


def keep_rules(model: Path, recipe: Recipe, tidying: Tidying, listener: Listener) -> Rules:
    """Write rules that paid into a model file, and say so; a recipe that names rules of its own keeps them.

    Returns:
        The rules that were written: none where nothing was.
    """
    if recipe.predict.postprocess or not tidying.rules:
        return ()
    store_rules(model, tidying)
    names = ", ".join(dict.fromkeys(rule.name for rule in tidying.rules))
    listener(Message(f"the model cleans its masks ({names}): {tidying.reason}; `predict --postprocess none` does not"))
    return tidying.rules


def keep_score(model: Path, dice: float) -> None:
    """Write beside the score that chose a model that of the masks it makes: whole, cleaned, on the images' own grids.

    Args:
        dice: mean foreground Dice of the held-out cases; NaN, where nothing is scored, is not kept.
    """
    if not math.isnan(dice):
        header = read_header(model)
        write_model(model, read_weights(model), replace(header, score={**(header.score or {}), "masks": dice}))


def store_rules(model: Path, tidying: Tidying) -> None:
    """Write rules into a model file's recipe, with the reason behind them; nothing else of the file changes."""
    header = read_header(model)
    recipe = tomlkit.parse(header.recipe)
    rules = tomlkit.array()
    for rule in tidying.rules:
        table = tomlkit.inline_table()
        table.update(rule.model_dump(mode="json"))
        rules.append(table)
    rules.comment(tidying.reason)
    recipe["predict"]["postprocess"] = rules
    write_model(model, read_weights(model), replace(header, recipe=tomlkit.dumps(recipe)))
