"""Evaluate: compare predicted masks with true ones, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.cases import SAME_GRID, describe_grid
from ushape.io.images import mask_pixels, read_raster
from ushape.io.layouts import Pair, find_inputs, load_case, pair_folders
from ushape.measure.summary import ScoreTable
from ushape.measure.table import CaseScores, measure_surfaces, score_case
from ushape.report.contents import Overlay
from ushape.workflows.publish import Draw
from ushape.workflows.truth import common_labels, need_folder, truth_folders


@dataclass(frozen=True)
class Assessment:
    """Predictions measured against the truth.

    Attributes:
        draw: draws a case for the report, if the truth's data set has images.
    """

    table: ScoreTable
    labels: Labels
    draw: Draw


def assess(predictions: Path, truth: Path, *, foreground: bool = False) -> Assessment:
    """Measure every prediction against the truth of the same stem.

    Args:
        truth: a folder of masks, or a data set, whose images are then drawn in the report.
        foreground: whether every label value above 0 is one class, in both.
    Raises:
        DataError: files have no partner, differ in size, or hold values that do not go together.
    """
    images, masks = truth_folders(truth)
    need_folder(predictions, "of predicted masks")
    pairs = {pair.name: pair for pair in pair_folders(predictions, masks)}
    labels = common_labels(list(pairs.values()), foreground=foreground)
    table = ScoreTable(tuple(_score(pair, labels) for pair in pairs.values()))
    found = {pair.name: pair for pair in find_inputs(images)} if images else {}

    def draw(name: str, caption: str, dice: float) -> Overlay | None:
        return _draw(pairs[name], found.get(name), labels, caption, dice)

    return Assessment(table, labels, draw)


def _score(pair: Pair, labels: Labels) -> CaseScores:
    predicted, true, grid = _read(pair, labels)
    scores = score_case(predicted, true, classes=labels.names, spacing=grid.spacing, unit=grid.unit, name=pair.name)
    return measure_surfaces(scores, predicted, true)


def _read(pair: Pair, labels: Labels) -> tuple[ndarray, ndarray, Geometry]:
    if pair.mask is None:
        raise DataError(f"{pair.image}: expected a true mask of this name, got none")
    predicted, true = read_raster(pair.image), read_raster(pair.mask)
    guess = labels.encode(mask_pixels(pair.image, predicted), str(pair.image))
    truth = labels.encode(mask_pixels(pair.mask, true), str(pair.mask))
    apart = predicted.geometry.shift_to(true.geometry, truth.shape) if guess.shape == truth.shape else None
    if apart is None or apart > SAME_GRID:
        raise DataError(
            f"{pair.name}: prediction lies on {describe_grid(guess.shape, predicted.geometry)} but its truth on "
            f"{describe_grid(truth.shape, true.geometry)}; predict the image again on its own grid"
        )
    return guess, truth, true.geometry


def _draw(pair: Pair, image: Pair | None, labels: Labels, caption: str, dice: float) -> Overlay | None:
    if image is None:
        return None
    predicted, true, grid = _read(pair, labels)
    return Overlay(pair.name, caption, load_case(image).image, predicted, true, dice, grid)
