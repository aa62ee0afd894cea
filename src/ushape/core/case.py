"""A case: one image, its label if there is one, and where it lies in the world."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from ushape.core.errors import DataError, ShapeError

Spacing = tuple[float, ...]
_FLAT = 1e-6  # volume of the cell that the axes' unit vectors span: below this they lie in a plane


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a grid lie: one entry per array axis, (row, col) or (z, y, x).

    Positions have the components (right, anterior, superior) in mm, as in nibabel; where the unit is "px" they are
    along the array's own axes. Directions need not be at right angles: a sheared or tilted grid is a grid.

    Attributes:
        spacing: voxel size per axis, in `unit`.
        unit: "mm", or "px" where the file does not say.
        origin: position of voxel 0.
        direction: unit vector of each array axis, one row per axis.
        is_adrift: the file says how large a voxel is, but not where it lies: origin and direction mean nothing.
    """

    spacing: Spacing
    unit: Literal["mm", "px"]
    origin: tuple[float, ...]
    direction: tuple[tuple[float, ...], ...]
    is_adrift: bool = False

    @classmethod
    def pixels(cls, ndim: int) -> Geometry:
        """Return the geometry of a file that has none: spacing 1 px, axes along the array."""
        return cls((1.0,) * ndim, "px", (0.0,) * ndim, _along_array(ndim))

    @classmethod
    def sized(cls, spacing_mm: Spacing) -> Geometry:
        """Return the geometry of a file that says how large a voxel is, and no more.

        >>> Geometry.sized((0.002, 0.0003)).is_placed
        False
        """
        return cls(spacing_mm, "mm", (0.0,) * len(spacing_mm), _along_array(len(spacing_mm)), is_adrift=True)

    @classmethod
    def from_affine(cls, affine: Float[ndarray, "n n"], unit: Literal["mm", "px"] = "mm") -> Geometry:
        """Take a matrix apart that maps indices, in array axis order, to positions.

        Raises:
            DataError: the matrix is no grid: a value is not finite, a voxel has no size, or axes coincide.

        >>> Geometry.from_affine(np.array([[0.0, 0.8, -9.0], [3.0, 0.0, 5.0], [0.0, 0.0, 1.0]])).spacing
        (3.0, 0.8)
        """
        steps = np.asarray(affine, dtype=np.float64)[:-1, :-1].T
        spacing = np.linalg.norm(steps, axis=1)
        if not np.isfinite(affine).all() or not (spacing > 0).all():
            raise DataError(f"geometry: expected a voxel size above 0 along each axis, got {_show(spacing)}")
        direction = steps / spacing[:, None]
        if abs(np.linalg.det(direction)) < _FLAT:
            raise DataError("geometry: expected axes that span the space, got a singular affine")
        return cls(_floats(spacing), unit, _floats(affine[:-1, -1]), tuple(map(_floats, direction)))

    @property
    def affine(self) -> Float[ndarray, "n n"]:
        """The matrix from indices, in array axis order, to positions."""
        matrix = np.eye(self.ndim + 1)
        matrix[:-1, :-1] = (np.asarray(self.direction) * np.asarray(self.spacing)[:, None]).T
        matrix[:-1, -1] = self.origin
        return matrix

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.spacing)

    @property
    def is_placed(self) -> bool:
        """Whether the file says where in the world its voxels lie."""
        return self.unit == "mm" and not self.is_adrift

    def shift_to(self, other: Geometry, space: Sequence[int]) -> float:
        """Measure how far apart two grids of the size `space` lie: the farthest corner, in the smaller voxel's edges.

        0 if one of them does not say where it lies.

        >>> grid = Geometry.from_affine(np.eye(3))
        >>> grid.shift_to(Geometry.from_affine(np.diag([1.0, 1.5, 1.0])), (10, 11))
        5.0
        """
        if not (self.is_placed and other.is_placed):
            return 0.0
        corners = np.array(list(itertools.product(*((0, size - 1) for size in space))))
        ends = np.vstack([corners.T, np.ones(len(corners))])
        moved = (self.affine - other.affine) @ ends
        return float(np.linalg.norm(moved, axis=0).max() / min(*self.spacing, *other.spacing))


@runtime_checkable
class ArrayLike(Protocol):
    """What an image is kept in: an ndarray, a memory map or a zarr array, cut by slices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of every axis."""
        ...

    @property
    def dtype(self) -> Any:
        """The stored type of an element."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Cut a window."""
        ...


@dataclass(frozen=True, eq=False)
class Case:
    """One image with all that belongs to it.

    Attributes:
        name: the stem of its file; unique in a data set.
        image: (channels, *space) in its stored dtype.
        geometry: where its voxels lie.
        label: (*space) class indices (see `Labels`), or (classes, *space) bool for multilabel, or None.
        source: the image's file, for messages and for writing results in the same format; "" if it has none.
    """

    name: str
    image: ArrayLike
    geometry: Geometry
    label: Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if len(self.space) not in (2, 3):
            raise ShapeError(
                f"{self.name}: expected an image of shape (channels, rows, cols) or (channels, z, y, x), "
                f"got {self.image.shape}"
            )
        if self.geometry.ndim != len(self.space):
            raise ShapeError(f"{self.name}: a geometry of {self.geometry.ndim} axes for an image of {self.image.shape}")
        if self.label is not None and tuple(self.label.shape[-len(self.space) :]) != self.space:
            raise ShapeError(
                f"{self.name}: label has shape {tuple(self.label.shape)} but image has {self.space}; "
                "the pair must share one grid"
            )

    @property
    def space(self) -> tuple[int, ...]:
        """The size of the image without its channel axis."""
        return tuple(self.image.shape[1:])

    @property
    def channels(self) -> int:
        """The number of channels."""
        return int(self.image.shape[0])

    def with_image(self, image: ArrayLike) -> Case:
        """Return this case with another image on the same or a new grid."""
        return replace(self, image=image)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about one case, on the case's own grid.

    Attributes:
        label: (*space) class indices, or (foreground, *space) bool for multilabel.
        probabilities: (classes, *space) in [0, 1], the background's included, or None if they were not asked for.
        uncertainty: (1 or 2, *space) in [0, 1], or None: the entropy of the probabilities; with mirrors or members also
            by how much it exceeds the mean entropy of the passes they are the mean of: how far these disagree.
    """

    name: str
    label: Integer[ndarray, "*space"] | Bool[ndarray, "foreground *space"]
    geometry: Geometry
    probabilities: Float[ndarray, "classes *space"] | None = None
    uncertainty: Float[ndarray, "measures *space"] | None = None


def image_in_memory(case: Case) -> ndarray:
    """Return the whole image as an ndarray, read if it is on disk."""
    return np.asarray(case.image[...])


def _along_array(ndim: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(i == j) for j in range(ndim)) for i in range(ndim))


def _floats(values: Sequence[float] | ndarray) -> tuple[float, ...]:
    return tuple(float(value) + 0.0 for value in values)  # no negative zeros


def _show(values: ndarray) -> str:
    return " x ".join(f"{value:g}" for value in values)
