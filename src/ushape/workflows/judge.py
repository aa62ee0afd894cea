"""One case: both of its masks read onto one grid, and measured as was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ushape.core.case import Geometry
from ushape.core.errors import ConfigError, DataError
from ushape.core.labels import IGNORE, AnyLabel, Labels
from ushape.io.cases import describe_grid
from ushape.io.images import mask_pixels, read_mask, read_raster
from ushape.io.masks import SAME_GRID, read_both
from ushape.io.turns import turn_like
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
            raise ConfigError("--components: expected --instances beside it, got none; add it")
        for name, given in (("tolerance", self.tolerance), ("boundary-tolerance", self.boundary_tolerance)):
            if given is not None and not 0 <= given < math.inf:
                raise ConfigError(f"--{name}: expected a distance from 0, got {given}; give it in mm, px for pictures")


@dataclass(frozen=True)
class Judged:
    """A case: its predicted and its true masks, one file each or one for each class."""

    name: str
    predicted: tuple[Path, ...]
    true: tuple[Path, ...]


def judge_case(judged: Judged, labels: Labels, measuring: Measuring) -> CaseScores:
    """Measure everything about one case.

    Raises:
        DataError: a mask cannot be read, holds unknown values, or lies on another grid than the other.
    """
    guess, truth, grid = read_case(judged, labels)
    scores = score_case(guess, truth, classes=labels.scored, spacing=grid.spacing, unit=grid.unit, name=judged.name)
    near = {"tolerance": measuring.tolerance, "boundary_tolerance": measuring.boundary_tolerance}
    scores = measure_surfaces(scores, guess, truth, **near)
    if not measuring.instances:
        return scores
    if measuring.components:
        objects = components(guess > 0)[0]
    else:
        objects = mask_pixels(judged.predicted[0], turn_like(read_raster(judged.predicted[0]), grid))
    true = read_mask(judged.true[0]).astype("int64")
    true[truth == IGNORE] = IGNORE
    return measure_instances(scores, objects, true)


def read_case(judged: Judged, labels: Labels) -> tuple[AnyLabel, AnyLabel, Geometry]:
    """Read the predicted and the true label of a case, and the grid on which both lie.

    Raises:
        DataError: as `judge_case`.
    """
    (true, grid), (guess, own) = read_both(judged.true, judged.predicted, labels)
    space = true.shape[-grid.ndim :]
    apart = own.shift_to(grid, space) if guess.shape == true.shape else None
    if apart is None or apart > SAME_GRID:
        far = "" if apart is None else f", {apart:.3g} voxels apart"
        raise DataError(
            f"{judged.name}: expected two masks on one grid, got {describe_grid(guess.shape[-own.ndim :], own)} in "
            f"{judged.predicted[0]} and {describe_grid(space, grid)} in {judged.true[0]}{far}; "
            "export the one that does not lie on its image's grid again"
        )
    return guess, true, grid if grid.unit == "mm" else own
