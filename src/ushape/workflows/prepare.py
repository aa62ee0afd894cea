"""From a data set to prepared cases on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ushape.core.case import Case, Geometry
from ushape.core.events import Listener, Message, Progress
from ushape.core.labels import AnyLabel
from ushape.io.layouts import Pair, find_pairs, load_case
from ushape.io.splits import Split, fold_cases, split_cases
from ushape.patches.store import Store, is_complete, write_case, write_index
from ushape.plan.recipe import Recipe
from ushape.prep.label_grid import resample_label_onto
from ushape.prep.pipeline import Pipeline
from ushape.workflows.survey import DataSet


def split(data: DataSet, recipe: Recipe) -> dict[str, Any]:
    """Say which cases train and which validate, and where they lie; of a cross-validation, for each fold.

    Raises:
        DataError: there are more folds than patients.
    """
    names, chosen, seed = [pair.name for pair in data.found.pairs], recipe.data, recipe.train.seed
    groups, place = chosen.groups or data.found.groups, {"data": str(data.folder.resolve())}

    def fold(number: int) -> dict[str, list[str]]:
        return _name_split(fold_cases(names, chosen.folds, number, seed, groups=groups))

    if chosen.fold == "all":
        return {**place, "folds": [fold(number) for number in range(chosen.folds)]}
    if chosen.fold == "none":
        return {**place, **_name_split((names, []))}
    if chosen.fold == "share":
        return {**place, **_name_split(split_cases(names, chosen.validation, seed, groups=groups))}
    return {**place, **fold(chosen.fold)}


def _name_split(found: Split) -> dict[str, list[str]]:
    return dict(zip(("training", "validation"), found, strict=True))


def prepare(data: Path, recipe: Recipe, folder: Path, listener: Listener) -> Store:
    """Prepare every case of a data set and keep it on disk; what an earlier start prepared is taken as it is.

    Raises:
        DataError: a file cannot be read or does not fit the recipe.
    """
    if is_complete(folder):
        return Store(folder)
    shutil.rmtree(folder, ignore_errors=True)
    pairs, pipeline, index = find_pairs(data), Pipeline(recipe.prep), []
    for number, pair in enumerate(pairs):
        case, _ = pipeline.forward(load_pair(pair, recipe, listener))
        write_case(folder, number, case)
        index.append((case.name, case.geometry))
        listener(Progress("prepare", number + 1, len(pairs)))
    write_index(folder, index)
    return Store(folder)


def load_pair(pair: Pair, recipe: Recipe, listener: Listener) -> Case:
    """Read a pair as a recipe says; a label on another grid is resampled onto its image's, with a warning, or refused.

    Raises:
        GridMismatch: it lies on another grid, and the recipe is strict.
    """
    data = recipe.data

    def regrid(label: AnyLabel, own: Geometry, image: Geometry, shape: tuple[int, ...]) -> AnyLabel:
        listener(Message(f"{pair.name}: its label lies on another grid; resampled onto the image's", "warning"))
        return resample_label_onto(label, own, image, shape)

    regrid_or_refuse = None if data.strict else regrid
    return load_case(pair, data.labels, channels=data.channels, axes=data.axes, regrid=regrid_or_refuse)
