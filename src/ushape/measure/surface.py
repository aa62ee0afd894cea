"""Measures of distance between the borders of two masks, all from one set of surface distances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from ushape.core.case import Spacing
from ushape.core.errors import ShapeError
from ushape.measure.nearest import nearest_distances

Unit = Literal["mm", "px"]
DEFAULT_TOLERANCE: dict[str, float] = {"mm": 1.0, "px": 2.0}
BOUNDARY_SHARE = 0.0075


ROUNDING = 1e-5
"""What the spacing of a file may be off by, as a share."""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distance from each surface voxel of one mask to the nearest surface voxel of the other, ascending.

    In the unit of the spacing. inf if the other mask is empty; no entry if this one is.
    """

    from_prediction: Float[ndarray, " n"]
    from_label: Float[ndarray, " m"]

    @property
    def hd(self) -> float:
        """Hausdorff distance: the largest distance from either surface to the other."""
        return self.hd_percentile(100.0)

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles."""
        return self.hd_percentile(95.0)

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the voxels of both surfaces together."""
        return float(self._pooled.mean()) if self._pooled.size else float("nan")

    def hd_percentile(self, percent: float) -> float:
        """Return the larger of the two directed percentiles; inf if one mask is empty, nan if both are."""
        if not (self.from_prediction.size and self.from_label.size):
            return float("inf") if self._pooled.size else float("nan")
        return float(max(_percentile(self.from_prediction, percent), _percentile(self.from_label, percent)))

    def nsd(self, tolerance: float) -> float:
        """Normalised surface Dice: the share of both surfaces that lies within `tolerance` of the other.

        0 if one mask is empty, nan if both are.

        Source: Nikolov et al. 2018, arXiv:1809.04430. Differs: voxels, not area-weighted elements.
        """
        return float((self._pooled <= _reach(tolerance)).mean()) if self._pooled.size else float("nan")

    def boundary_f1(self, tolerance: float) -> float:
        """Harmonic mean of the shares of the predicted and of the true surface within `tolerance` of the other.

        0 if one mask is empty, nan if both are.

        Source: Csurka et al., BMVC 2013, doi:10.5244/C.27.32.
        """
        if not (self.from_prediction.size and self.from_label.size):
            return 0.0 if self._pooled.size else float("nan")
        precision, recall = ((side <= _reach(tolerance)).mean() for side in (self.from_prediction, self.from_label))
        return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0

    @property
    def _pooled(self) -> ndarray:
        return np.concatenate([self.from_prediction, self.from_label])


@dataclass(frozen=True)
class Tolerances:
    """How far apart two surfaces may lie and still agree, and how the columns that depend on it are called."""

    unit: Unit
    nsd: float
    boundary_f1: float
    nsd_name: str
    boundary_f1_name: str

    @classmethod
    def choose(
        cls, space: tuple[int, ...], spacing: Spacing, unit: Unit, nsd: float | None, boundary_f1: float | None
    ) -> Tolerances:
        """Take what is given, else 1 mm or 2 px, and for the boundary F1 0.75 % of the image's diagonal."""
        within = DEFAULT_TOLERANCE[unit] if nsd is None else nsd
        nsd_name = f"nsd_{within:g}{unit}"
        if boundary_f1 is not None:
            return cls(unit, within, boundary_f1, nsd_name, f"boundary_f1_{boundary_f1:g}{unit}")
        diagonal = math.hypot(*(size * step for size, step in zip(space, spacing, strict=True)))
        return cls(unit, within, BOUNDARY_SHARE * diagonal, nsd_name, f"boundary_f1_{100 * BOUNDARY_SHARE:g}pct")


@dataclass(frozen=True)
class SurfaceScores:
    """How far apart the borders of one class lie, in the unit of the tolerances.

    With one empty mask the distances are inf and the shares 0; with two all are nan: nothing to measure.
    """

    hd: float
    hd95: float
    assd: float
    nsd: float
    boundary_f1: float
    tolerances: Tolerances

    def measures(self) -> dict[str, float]:
        """Return the scores by column name: "hd95_mm", "nsd_1mm"."""
        to, unit = self.tolerances, self.tolerances.unit
        distances = {f"hd_{unit}": self.hd, f"hd95_{unit}": self.hd95, f"assd_{unit}": self.assd}
        return {**distances, to.nsd_name: self.nsd, to.boundary_f1_name: self.boundary_f1}


def score_surface(
    prediction: Bool[ndarray, "*space"], label: Bool[ndarray, "*space"], spacing: Spacing, tolerances: Tolerances
) -> SurfaceScores:
    """Measure every surface score of a pair of masks from one set of distances.

    Raises:
        ShapeError: as `surface_distances`.
    """
    found = surface_distances(prediction, label, spacing)
    nsd, boundary_f1 = found.nsd(tolerances.nsd), found.boundary_f1(tolerances.boundary_f1)
    return SurfaceScores(found.hd, found.hd95, found.assd, nsd, boundary_f1, tolerances)


def surface_distances(
    prediction: Bool[ndarray, "*space"], label: Bool[ndarray, "*space"], spacing: Spacing
) -> SurfaceDistances:
    """Measure, for each surface voxel of either mask, the distance to the other surface.

    The surface is the mask minus its erosion by one voxel along each axis; the border of the image counts as outside.
    Exact; the cost grows with the surfaces, not with the image.

    Args:
        spacing: voxel size per axis, in array axis order; its unit is the result's.
    Raises:
        ShapeError: the masks differ in shape, or the spacing has another length.
    Source: the definitions are MONAI's and Nikolov et al. 2018, arXiv:1809.04430.

    >>> import numpy as np
    >>> a, b = np.zeros((2, 3, 3), dtype=bool)
    >>> a[1, 0] = b[1, 2] = True
    >>> surface_distances(a, b, (1.0, 0.5)).hd
    1.0
    """
    if not prediction.shape == label.shape or label.ndim != len(spacing):
        raise ShapeError(
            f"surface distances: expected two masks of one shape and one spacing per axis, got {prediction.shape}, "
            f"{label.shape} and spacing {spacing}"
        )
    return SurfaceDistances(*nearest_distances(surface_voxels(prediction), surface_voxels(label), spacing))


def surface_voxels(mask: Bool[ndarray, "*space"]) -> Integer[ndarray, "n ndim"]:
    """Return the indices of the voxels of a mask that have a neighbour along an axis outside it.

    >>> import numpy as np
    >>> surface_voxels(np.ones((3, 4), dtype=bool)).shape  # all but the two in the middle
    (10, 2)
    """
    box = bounding_box(mask)
    inside = mask[box]
    surface, middle = inside.copy(), (slice(1, -1),) * mask.ndim
    inner = inside[middle].copy()
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            inner &= inside[(*middle[:axis], side, *middle[axis + 1 :])]
    surface[middle] &= ~inner
    return np.argwhere(surface) + np.array([side.start for side in box])


def bounding_box(mask: Bool[ndarray, "*space"]) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask; an empty one if it has no voxel.

    >>> import numpy as np
    >>> bounding_box(np.array([[False, False, False], [False, True, True]]))
    (slice(1, 2, None), slice(1, 3, None))
    """
    across = bounding_box(np.logical_or.reduce(mask)) if mask.ndim > 1 else ()
    used = np.logical_or.reduce(mask[:, *across], axis=tuple(range(1, mask.ndim))).nonzero()[0]
    return (slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0), *across)


def _reach(tolerance: float) -> float:
    """Let a voxel that lies at the tolerance count as within: float32 headers give 1 mm as 1.0000001 mm."""
    return tolerance * (1 + ROUNDING)


def _percentile(ascending: ndarray, percent: float) -> float:
    """Interpolate linearly between the two nearest ranks, as NumPy does, without sorting again."""
    rank = percent / 100 * (len(ascending) - 1)
    low = int(rank)
    high = min(low + 1, len(ascending) - 1)
    return float(ascending[low] + (rank - low) * (ascending[high] - ascending[low]))
