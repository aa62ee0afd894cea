"""Evaluate: compare predicted masks with true ones, case by case."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.folders import match_folders
from ushape.io.layouts import Pair, find_inputs, load_case
from ushape.io.pairs import refuse_strays
from ushape.measure.summary import ScoreTable
from ushape.report.contents import Overlay
from ushape.workflows.judge import Measuring, judge_case, read_case
from ushape.workflows.publish import Draw
from ushape.workflows.truth import common_labels, need_folder, truth_folders

DEFAULT = Measuring()


@dataclass(frozen=True)
class Assessment:
    """Predictions measured against the truth.

    Attributes:
        draw: draws a case for the report, if the truth's data set has images.
        missing: files of the truth that have no prediction.
    """

    table: ScoreTable
    labels: Labels
    draw: Draw
    missing: tuple[Path, ...] = ()


def assess(predictions: Path, truth: Path, measuring: Measuring = DEFAULT, *, partial: bool = False) -> Assessment:
    """Measure every prediction against the truth of the same stem; as many cases at a time as there are cores.

    Args:
        truth: a folder of masks, or a data set, whose images are then drawn in the report.
        partial: whether some of the truth may have no prediction.
    Raises:
        DataError: files have no partner, differ in size, or hold values that do not go together.
    """
    images, masks = truth_folders(truth)
    need_folder(predictions, "of predicted masks")
    matching = match_folders(predictions, masks)
    refuse_strays(replace(matching, surplus=()) if partial else matching, predictions)
    pairs = {pair.name: pair for pair in matching.pairs}
    labels = common_labels(list(pairs.values()), foreground=measuring.foreground or measuring.instances)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(pairs))) as pool:
        table = ScoreTable(tuple(pool.map(lambda pair: judge_case(pair, labels, measuring), pairs.values())))
    _need_objects(predictions, table)
    found = {pair.name: pair for pair in find_inputs(images)} if images else {}

    def draw(name: str, caption: str, dice: float) -> Overlay | None:
        return _draw(pairs[name], found.get(name), labels, caption, dice)

    return Assessment(table, labels, draw, matching.surplus)


def _need_objects(predictions: Path, table: ScoreTable) -> None:
    found = [case.instances for case in table.cases if case.instances]
    if any(one.true > 1 for one in found) and all(one.predicted <= 1 for one in found):
        raise DataError(
            f"{predictions}: expected a number of its own for each object, got at most one number in every file; "
            "add --components to take each connected component for an object"
        )


def _draw(pair: Pair, image: Pair | None, labels: Labels, caption: str, dice: float) -> Overlay | None:
    if image is None:
        return None
    predicted, true, grid = read_case(pair, labels)
    return Overlay(pair.name, caption, load_case(image).image, predicted, true, dice, grid)
