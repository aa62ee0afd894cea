"""Evaluate: compare predicted masks with true ones, case by case."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.labels import Labels, flatten
from ushape.io.label_values import common_labels
from ushape.io.layouts import Pair, load_case
from ushape.io.partners import find_truth, match_predictions, name_classes
from ushape.measure.summary import ScoreTable
from ushape.report.contents import Overlay
from ushape.workflows.judge import Judged, Measuring, judge_case, read_case
from ushape.workflows.publish import Draw

DEFAULT = Measuring()
MERGED = "classes: every label value above 0 is scored as one class, for the model was trained with --foreground"


@dataclass(frozen=True)
class Assessment:
    """Predictions measured against the truth.

    Attributes:
        draw: draws a case for the report, if the truth's data set has images.
        missing: files of the truth that have no prediction.
        warnings: what is odd about the classes, as sentences.
    """

    table: ScoreTable
    labels: Labels
    draw: Draw
    missing: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def assess(
    predictions: Path,
    truth: Path,
    measuring: Measuring = DEFAULT,
    *,
    partial: bool = False,
    classes: Labels | None = None,
) -> Assessment:
    """Measure every prediction against the truth of the same stem; as many cases at a time as there are cores.

    Args:
        truth: a folder of masks, or a data set, whose classes are then used and whose images are drawn in the report.
        partial: whether some of the truth may have no prediction.
        classes: what the values mean, instead of what the truth says of them.
    Raises:
        DataError: files have no partner, differ in size, or hold values that do not go together.
    """
    known = find_truth(truth)
    known = name_classes(known, classes, str(truth)) if classes else known
    matches, missing = match_predictions(predictions, known, truth, partial=partial)
    judged = {name: Judged(name, *files) for name, *files in matches}
    foreground = measuring.foreground or measuring.instances
    labels, warnings = _choose_labels(known.labels, judged.values(), foreground=foreground)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(judged))) as pool:
        table = ScoreTable(tuple(pool.map(lambda one: judge_case(one, labels, measuring), judged.values())))
    _need_objects(predictions, table)

    def draw(name: str, caption: str, dice: float) -> Overlay | None:
        return _draw(judged[name], known.images.get(name), labels, caption, dice)

    return Assessment(table, labels, draw, missing, warnings)


def _need_objects(predictions: Path, table: ScoreTable) -> None:
    found = [case.instances for case in table.cases if case.instances]
    if any(one.true > 1 for one in found) and all(one.predicted <= 1 for one in found):
        raise DataError(
            f"{predictions}: expected a number of its own for each object, got at most one number in every file; "
            "evaluate the instances/ that predict --instances writes, or add --components to number what touches"
        )


def _choose_labels(
    known: Labels | None, judged: Iterable[Judged], *, foreground: bool
) -> tuple[Labels, tuple[str, ...]]:
    if known and not foreground:
        return known, (MERGED,) if known.merge == "foreground" else ()
    cases = list(judged)
    predicted = [path for one in cases for path in one.predicted]
    return common_labels(predicted, [path for one in cases for path in one.true], foreground=foreground)


def _draw(judged: Judged, image: Pair | None, labels: Labels, caption: str, dice: float) -> Overlay | None:
    if image is None:
        return None
    predicted, true, grid = read_case(judged, labels)
    return Overlay(judged.name, caption, load_case(image).image, flatten(predicted), flatten(true), dice, grid)
