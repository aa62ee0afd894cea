"""One case: both of its masks read onto one grid, and measured as was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.core.labels import IGNORE, Labels
from ushape.io.cases import SAME_GRID, describe_grid
from ushape.io.images import mask_pixels, read_mask, read_raster
from ushape.io.layouts import Pair
from ushape.measure.table import CaseScores, measure_instances, measure_surfaces, score_case
from ushape.predict.postprocess import components


@dataclass(frozen=True)
class Measuring:
    """What is measured, and how.

    Attributes:
        foreground: take every label value above 0 for one class.
        instances: masks hold a number for each object; count also whether objects were found.
        components: each connected component of a prediction is an object, whatever its values; the truth keeps its
            numbers.
        tolerance: of the normalised surface Dice, in the unit of the spacing; None: 1 mm or 2 px.
        boundary_tolerance: of the boundary F1; None: 0.75 % of the image's diagonal.
    """

    foreground: bool = False
    instances: bool = False
    components: bool = False
    tolerance: float | None = None
    boundary_tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.components and not self.instances:
            raise DataError("components: expected --instances beside it, got none; add it")
        if any(given is not None and not given >= 0 for given in (self.tolerance, self.boundary_tolerance)):
            raise DataError("tolerance: expected a distance from 0, got less; give it in mm, or in px for pictures")


def judge_case(pair: Pair, labels: Labels, measuring: Measuring) -> CaseScores:
    """Measure everything about one case.

    Raises:
        DataError: a mask cannot be read, holds unknown values, or lies on another grid than the other.
    """
    guess, truth, grid = read_case(pair, labels)
    scores = score_case(guess, truth, classes=labels.names, spacing=grid.spacing, unit=grid.unit, name=pair.name)
    near = {"tolerance": measuring.tolerance, "boundary_tolerance": measuring.boundary_tolerance}
    scores = measure_surfaces(scores, guess, truth, **near)
    return _judge_objects(scores, pair, guess, truth, measuring) if measuring.instances else scores


def read_case(pair: Pair, labels: Labels) -> tuple[ndarray, ndarray, Geometry]:
    """Read the predicted and the true mask of a case, and the grid on which both lie.

    Raises:
        DataError: as `judge_case`.
    """
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


def _judge_objects(scores: CaseScores, pair: Pair, guess: ndarray, truth: ndarray, measuring: Measuring) -> CaseScores:
    if pair.mask is None:
        return scores
    objects = components(guess > 0)[0] if measuring.components else read_mask(pair.image)
    true = read_mask(pair.mask).astype("int64")
    true[truth == IGNORE] = IGNORE
    return measure_instances(scores, objects, true)
