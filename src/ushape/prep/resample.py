"""Resample: bring every case to one spacing, and predictions back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Integer, Num
from numpy import ndarray
from pydantic import Field

from ushape.core.case import ArrayLike, Case, Spacing, image_in_memory
from ushape.core.config import Config
from ushape.core.errors import ConfigError, DataError
from ushape.prep.geometry import start_at
from ushape.prep.label_grid import resample_label
from ushape.prep.slabs import Axes, resample_array, resample_slabs
from ushape.prep.undo import Decide
from ushape.prep.weights import AxisWeights, Kernel, make_weights

COARSE_RATIO = 3.0
"""An axis this many times coarser than the finest is resampled apart."""
SMALLEST_CHANGE = 0.01
"""Voxels by which an axis must grow or shrink; less, and it stays as it is."""
MOST_VOXELS = 2**31


class ResampleConfig(Config):
    """To which spacing cases are brought.

    Attributes:
        spacing: voxel size per axis, or "none" to keep each case's own.
        unit: of `spacing`; cases in the other unit are refused.
        kernel: how images are interpolated. Where an axis shrinks the kernel is widened, so that nothing aliases.
        coarse: the kernel along an axis more than 3 times coarser than the finest, for images and labels: "same"
            treats it as the others.
    """

    spacing: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] | Literal["none"] = "none"
    unit: Literal["mm", "px"] = "mm"
    kernel: Literal["linear", "cubic", "spline"] = "cubic"
    coarse: Literal["same", "linear", "nearest"] = "linear"


@dataclass(frozen=True)
class AxisGrid:
    """Two grids on one axis that share their centre.

    Attributes:
        before: voxels of the old one.
        after: voxels of the new one.
        step: distance of two new voxels, in old voxels.
        spacing: of the new one.
    """

    before: int
    after: int
    step: float
    spacing: float

    @property
    def is_same(self) -> bool:
        """Whether the grids are one."""
        return self.step == 1

    @property
    def start(self) -> float:
        """The position of the first new voxel, in old voxels."""
        return (self.before - 1) / 2 - (self.after - 1) / 2 * self.step

    def weights(self, kernel: Kernel) -> AxisWeights | None:
        """Return the weights that take values to the new grid."""
        return None if self.is_same else make_weights(self.before, self.after, self.step, kernel, smooth=True)

    def weights_back(self) -> AxisWeights | None:
        """Return the weights that take values back: linear between the two nearest voxels."""
        return None if self.is_same else make_weights(self.after, self.before, 1 / self.step, "linear")


@dataclass(frozen=True, eq=False)
class Resampled:
    """The way back of a resampling: linear on every axis.

    Attributes:
        axes: the weights of each axis, None for one that was left alone.
    """

    axes: Axes

    def probabilities(self, array: Num[ndarray, "classes *space"]) -> Num[ndarray, "classes *out"]:
        """Take probabilities to the input grid, in float32; they still sum to 1 over the classes."""
        return resample_array(array, self.axes) if self.changes else array

    def label(self, label: Integer[ndarray, "*space"]) -> Integer[ndarray, "*out"]:
        """Take class indices to the input grid; prefer `decide` where there are probabilities."""
        return resample_label(label, self.axes) if self.changes else label

    def decide(self, probabilities: ArrayLike, decide: Decide) -> Integer[ndarray, "*out"]:
        """Take probabilities to the input grid and decide there, slab by slab: the same label, in little memory."""
        return np.concatenate([decide(slab) for _, slab in resample_slabs(probabilities, self.axes)])

    @property
    def changes(self) -> bool:
        """Whether any axis is resampled."""
        return any(axis is not None for axis in self.axes)


class Resample:
    """Bring a case to a spacing. Old and new grid share their centre, and the new spacing is met exactly.

    The image becomes float32. Along an axis much coarser than the others values are not mixed by the image's kernel:
    there neighbours have little to do with each other.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for the coarse axis. Differs: linear by default where
    that takes the nearest, and kernels are widened where an axis shrinks.
    """

    def __init__(self, config: ResampleConfig) -> None:
        self.config = config

    def forward(self, case: Case) -> tuple[Case, Resampled]:
        """Return the case on the new grid and the way back.

        Raises:
            ConfigError: the spacing has another number of axes than the case.
            DataError: the case's spacing has another unit, or the new grid would be huge.
        """
        if self.config.spacing == "none":
            return case, Resampled((None,) * len(case.space))
        grids = self._grids(case, self.config.spacing)
        undo = Resampled(tuple(grid.weights_back() for grid in grids))
        if all(grid.is_same for grid in grids):
            return case, undo
        image = resample_array(image_in_memory(case), self._axes(grids, case.geometry.spacing, self.config.kernel))
        label = case.label
        if label is not None:
            label = resample_label(label, self._axes(grids, case.geometry.spacing, "linear"))
        moved = start_at(case.geometry, [grid.start for grid in grids])
        geometry = replace(moved, spacing=tuple(grid.spacing for grid in grids))
        return replace(case, image=image, label=label, geometry=geometry), undo

    def _axes(self, grids: Sequence[AxisGrid], spacing: Spacing, kernel: Kernel) -> Axes:
        apart = coarse_axis(spacing, tuple(grid.spacing for grid in grids))
        along = kernel if self.config.coarse == "same" else self.config.coarse
        return tuple(grid.weights(along if axis == apart else kernel) for axis, grid in enumerate(grids))

    def _grids(self, case: Case, target: Spacing) -> tuple[AxisGrid, ...]:
        config, geometry = self.config, case.geometry
        if len(target) != len(case.space):
            raise ConfigError(
                f"prep.resample.spacing: expected {len(case.space)} numbers, one per axis, got {list(target)}"
            )
        if geometry.unit != config.unit:
            raise DataError(
                f"{case.source or case.name}: expected a spacing in {config.unit}, got one in {geometry.unit}; "
                "convert it to a format that holds its spacing, or change prep.resample"
            )
        grids = tuple(map(match_axis, case.space, geometry.spacing, target))
        size = [grid.after for grid in grids]
        if math.prod(size) > MOST_VOXELS:
            raise DataError(
                f"{case.source or case.name}: expected at most {MOST_VOXELS} voxels after resampling, got {size}; "
                f"check both spacings: {geometry.spacing} and {target} {geometry.unit}"
            )
        return grids


def match_axis(size: int, spacing: float, target: float) -> AxisGrid:
    """Plan the grid that covers an axis at another spacing as nearly as whole voxels can, at least one.

    >>> match_axis(200, 3.0, 1.0).after, match_axis(512, 0.8, 1.0).after
    (600, 410)
    """
    exact = size * spacing / target
    if abs(exact - size) < SMALLEST_CHANGE:
        return AxisGrid(size, size, 1.0, spacing)
    return AxisGrid(size, max(math.floor(exact + 0.5), 1), target / spacing, target)


def coarse_axis(*spacings: Spacing) -> int | None:
    """Return the one axis that is much coarser than the finest, in the first of some spacings that has one.

    >>> coarse_axis((5.0, 1.0, 1.0), (1.0, 1.0, 1.0)), coarse_axis((5.0, 5.0, 1.0)), coarse_axis((2.0, 1.0, 1.0))
    (0, None, None)
    """
    for spacing in spacings:
        coarsest = max(spacing)
        if coarsest > COARSE_RATIO * min(spacing) and spacing.count(coarsest) == 1:
            return spacing.index(coarsest)
    return None
