"""Choose rules that clean predictions, by held-out cases, and write them into the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tomlkit
from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.events import count
from ushape.core.labels import Labels
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.measure.table import class_means
from ushape.predict.postprocess import AnyRule, FillHoles, Largest
from ushape.workflows.scoring import score_prediction

FEWEST_CASES = 3
"""With fewer held-out cases no rule is chosen: what helps them may be chance."""
SMALLEST_GAIN = 0.0005
"""By which the mean foreground Dice must rise for a rule to be kept."""


@dataclass(frozen=True)
class Tidying:
    """The rules that were chosen.

    Attributes:
        rules: in the order in which they are applied.
        reason: what they did to Dice, in words.
        predictions: of every case, cleaned.
    """

    rules: tuple[AnyRule, ...]
    reason: str
    predictions: tuple[Prediction, ...]


def choose_rules(predictions: Sequence[Prediction], cases: Sequence[Case], labels: Labels) -> Tidying:
    """Try largest components and hole filling, class by class, and keep each rule that pays.

    A rule is kept if the mean foreground Dice over the cases rises and that of no class falls.

    Args:
        cases: with labels, on the grids of the predictions.
    """
    rules: list[AnyRule] = []
    kept = tuple(predictions)
    if labels.overlap != "none":
        return Tidying((), "classes may overlap, and what a rule takes from one is no other's", kept)
    if len(cases) < FEWEST_CASES:
        return Tidying((), f"fewer than {FEWEST_CASES} held-out cases", kept)
    before = best = _dice(kept, cases, labels)
    for rule in _candidates(labels.count):
        cleaned = tuple(replace(each, label=rule.apply(each.label, each.geometry)) for each in kept)
        dice = _dice(cleaned, cases, labels)
        if np.mean(dice - best) >= SMALLEST_GAIN and (dice >= best).all():
            rules, kept, best = [*rules, rule], cleaned, dice
    change = f"mean Dice of {count(len(cases), 'held-out case')} {np.mean(before):.4f} -> {np.mean(best):.4f}"
    return Tidying(tuple(rules), f"{change}, that of no class falls" if rules else "none pays", kept)


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


def _candidates(classes: int) -> list[AnyRule]:
    each = [(number,) for number in range(1, classes)]
    together: list[AnyRule] = [Largest()] if classes > 2 else []
    return [*together, *(Largest(of="class", classes=k) for k in each), *(FillHoles(classes=k) for k in each)]


def _dice(predictions: Sequence[Prediction], cases: Sequence[Case], labels: Labels) -> ndarray:
    """Return the mean Dice of each foreground class; 1 for one that no case has, neither predicted nor true."""
    pairs = zip(predictions, cases, strict=True)
    means = class_means([score_prediction(prediction, case, labels) for prediction, case in pairs], "dice")
    return np.nan_to_num([means[name] for name in labels.names[1:]], nan=1.0)
