"""Cross-validation: train every fold, compare them, and join their models into one ensemble."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import tomlkit

from ushape.core.events import Listener, Message
from ushape.core.files import read_json, sweep, write_json, write_text
from ushape.core.model_file import join_members, read_header, read_weights, write_model
from ushape.measure.folds import Comparison
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe, read_recipe
from ushape.train.clock import Clock
from ushape.train.run_folder import RunFolder
from ushape.workflows.cross import compare, describe_folds, publish_folds, read_scores, score_of_folds
from ushape.workflows.parts import portable_recipe
from ushape.workflows.tidied import keep_rules
from ushape.workflows.tidy import Tidying
from ushape.workflows.training import train_split

SHORTEST = 0.01
"""Minutes of a fold for which there is no time: few enough that the training says what it needs."""


def train_folds(run: RunFolder, recipe: Recipe, store: Store, listener: Listener, clock: Clock) -> None:
    """Train each fold as a run of its own, finished ones left out; then write the ensemble, the table and the report.

    A budget of minutes is for all folds together: each gets the same share of what preparing the cases has left.

    Raises:
        UshapeError: as `train_split`.
    """
    spent = time.perf_counter() - clock.started
    folds, classes = _begin_folds(run, recipe, spent), recipe.data.labels.names[1:]
    for number, fold in enumerate(folds):
        if not fold.report.exists():
            sweep(fold.path)
            listener(Message(f"fold {number} (0 to {len(folds) - 1})"))
            own = read_recipe(fold.recipe.read_text(encoding="utf-8"), str(fold.recipe))
            train_split(fold, own, store, listener, Clock(time.perf_counter(), len(folds), spent))
    scores = read_scores(folds, classes)
    comparison = compare(scores, classes)
    _write_ensemble(run, recipe, folds, comparison, listener)
    publish_folds(run, recipe, comparison, scores)
    listener(Message(f"{describe_folds(comparison)}; every fold: {run.comparison}"))


def _begin_folds(run: RunFolder, recipe: Recipe, spent: float) -> list[RunFolder]:
    """Give each fold its own recipe and split, unless an earlier start has; the split is written last.

    Args:
        spent: seconds of the budget.
    """
    splits = read_json(run.splits)
    folds = [run.fold(number) for number in range(len(splits["folds"]))]
    minutes = recipe.train.minutes
    share = minutes if minutes == "none" else max((minutes - spent / 60) / len(folds), SHORTEST)
    for number, fold in enumerate(folds):
        if not fold.splits.exists():
            text = tomlkit.parse(run.recipe.read_text(encoding="utf-8"))
            text["data"]["fold"], text["train"]["minutes"] = number, share
            write_text(fold.recipe, tomlkit.dumps(text))
            write_json(fold.splits, {"data": splits["data"], **splits["folds"][number]})
    return folds


def _write_ensemble(
    run: RunFolder, recipe: Recipe, folds: Sequence[RunFolder], comparison: Comparison, listener: Listener
) -> None:
    """Join the models of the folds; what all of them clean their masks by, the ensemble does too."""
    first = read_header(folds[0].model)
    cases = sum(len(read_json(fold.splits)["validation"]) for fold in folds)
    header = replace(
        first,
        recipe=portable_recipe(run, recipe),
        members=len(folds),
        provenance={**(first.provenance or {}), "training_cases": cases},
        score=score_of_folds(comparison),
    )
    write_model(run.model, join_members([read_weights(fold.model) for fold in folds]), header)
    rules = {read_recipe(read_header(fold.model).recipe, str(fold.model)).predict.postprocess for fold in folds}
    if len(rules) == 1:
        keep_rules(run.model, recipe, Tidying(rules.pop(), "chosen on every fold"), listener)
