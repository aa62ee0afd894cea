"""From a data set to prepared cases on disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ushape.core.errors import DataError
from ushape.core.events import Listener
from ushape.core.files import read_json, write_json
from ushape.io.layouts import find_dataset
from ushape.io.listing import name_some
from ushape.io.splits import Split, fold_cases, split_cases
from ushape.patches.shelf import Shelf
from ushape.patches.store import Store, is_complete, write_index
from ushape.plan.recipe import Recipe
from ushape.train.run_folder import RunFolder
from ushape.workflows.design import FitRequest, design
from ushape.workflows.stock import key_cases, stock
from ushape.workflows.survey import DataSet


def split(data: DataSet, recipe: Recipe) -> dict[str, Any]:
    """Say which cases train and which validate, and where they lie; of a cross-validation, for each fold.

    Raises:
        DataError: there are more folds than patients, or a table's column split cannot be used.
    """
    found, chosen, seed = data.found, recipe.data, recipe.train.seed
    names = [pair.name for pair in found.pairs]
    groups, place = chosen.groups or found.groups, {"data": str(data.folder.resolve())}

    def fold(number: int) -> dict[str, list[str]]:
        return _name_split(fold_cases(names, chosen.folds, number, seed, groups=groups))

    if chosen.fold == "all":
        return {**place, "folds": [fold(number) for number in range(chosen.folds)]}
    if chosen.fold == "none":
        return {**place, **_name_split((names, []))}
    if chosen.fold == "share":
        return {**place, **_name_split(split_cases(names, chosen.validation, seed, groups=groups, listed=found.splits))}
    return {**place, **fold(chosen.fold)}


def _name_split(found: Split) -> dict[str, list[str]]:
    return dict(zip(("training", "validation"), found, strict=True))


def prepare(run: RunFolder, recipe: Recipe, listener: Listener) -> Store:
    """Give a run its prepared cases; what an earlier run or start prepared is taken as it is.

    Raises:
        DataError: a file cannot be read or does not fit the recipe, or a case has changed since the run began.
    """
    splits, shelf = read_json(run.splits), Shelf(run.shelf)
    pairs = find_dataset(Path(splits["data"])).without_tests().pairs
    keys = key_cases(pairs, recipe)
    if "contents" not in splits:
        write_json(run.splits, {**splits, "contents": keys})
    _refuse_changes(splits.get("contents", keys), keys, run)
    if not is_complete(run.prepared):
        shutil.rmtree(run.prepared, ignore_errors=True)
        stock(pairs, keys, recipe, shelf, listener)
        for key in keys.values():
            shelf.lend(key, run.prepared)
        write_index(run.prepared, list(keys.items()))
    return Store(run.prepared)


def prepare_only(request: FitRequest, listener: Listener) -> Path:
    """Plan a training and prepare its cases, so that it can begin at once.

    Returns:
        Where they are kept: beside the run folder that the request names.
    Raises:
        UshapeError: the data, the recipe or the output cannot be used.
    """
    designed, shelf = design(request, listener), Shelf(RunFolder(request.output).shelf)
    pairs = designed.data.found.pairs
    stock(pairs, key_cases(pairs, designed.recipe), designed.recipe, shelf, listener)
    shelf.trim()
    return shelf.folder


def _refuse_changes(then: Mapping[str, str], now: Mapping[str, str], run: RunFolder) -> None:
    changed = [name for name, key in then.items() if now.get(name) != key]
    if changed:
        what = "changed" if changed[0] in now else "gone"
        raise DataError(
            f"{run.path}: expected the cases as they were when it began, got {name_some(changed, 3)} {what}; "
            "put the files and the recipe's [prep] and [data] back as they were, or start a new run"
        )
