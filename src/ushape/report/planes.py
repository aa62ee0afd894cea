"""The flat pictures of an array: itself in 2D, three orthogonal planes in 3D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from ushape.core.case import ArrayLike, Geometry

NORMALS = ("sagittal", "coronal", "axial")  # across world x, y, z
TOWARDS = ("R", "A", "S")
AXES = ("z", "y", "x")


@dataclass(frozen=True)
class Plane:
    """One flat cut through an array, and how to lay it on the screen.

    Attributes:
        name: "axial", or "z" where the file does not say how the patient lies; "" in 2D.
        axis: the spatial axis it cuts across, None in 2D.
        index: where on that axis.
        swap: whether the array's later axis becomes the rows.
        flips: whether the rows, the columns are mirrored (after the swap).
        spacing: size of a shown pixel, (row, column).
        edges: what lies at the top and at the left, e.g. ("A", "R"); "" if unknown.
    """

    name: str = ""
    axis: int | None = None
    index: int = 0
    swap: bool = False
    flips: tuple[bool, bool] = (False, False)
    spacing: tuple[float, float] = (1.0, 1.0)
    edges: tuple[str, str] = ("", "")

    def cut(self, volume: ArrayLike) -> ndarray:
        """Read the plane out of (*space) or (channels, *space): (rows, columns) or (channels, rows, columns)."""
        key: list[slice | int] = [slice(None)] * len(volume.shape)
        if self.axis is not None:
            key[self.axis - 3] = self.index
        flat = np.asarray(volume[tuple(key)])
        flat = flat.swapaxes(-1, -2) if self.swap else flat
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return flat[..., rows, columns]


def planes(foreground: Bool[ndarray, "*space"], geometry: Geometry | None = None) -> tuple[Plane, ...]:
    """Choose the planes that show a case: one in 2D; in 3D one per axis, where the most foreground is.

    If there is no foreground the planes go through the middle. Where the geometry is anatomical the patient lies as
    radiologists expect: anterior or superior at the top, the patient's right at the left, anterior at the left.

    >>> import numpy as np
    >>> ball = np.zeros((4, 5, 6), dtype=bool)
    >>> ball[3, 1, 2] = True
    >>> [(plane.name, plane.index) for plane in planes(ball)]
    [('z', 3), ('y', 1), ('x', 2)]
    """
    if foreground.ndim == 2:
        return (Plane(spacing=(1.0, 1.0) if geometry is None else (geometry.spacing[0], geometry.spacing[1])),)
    return tuple(_plane_across(axis, fullest_slice(foreground, axis), geometry) for axis in range(3))


def fullest_slice(foreground: Bool[ndarray, "z y x"], axis: int) -> int:
    """Return the index of the slice with the most foreground; the middle of the run if several tie.

    >>> import numpy as np
    >>> fullest_slice(np.ones((5, 2, 2), dtype=bool), 0)
    2
    """
    areas = foreground.sum(axis=tuple(other for other in range(3) if other != axis))
    ties = np.flatnonzero(areas == areas.max())
    return int(ties[len(ties) // 2])


def _plane_across(axis: int, index: int, geometry: Geometry | None) -> Plane:
    first, second = (other for other in range(3) if other != axis)
    spacing = (1.0, 1.0, 1.0) if geometry is None else geometry.spacing
    world = _world_axes(geometry)
    if world is None:
        return Plane(AXES[axis], axis, index, spacing=(spacing[first], spacing[second]))
    swap = world[first][0] < world[second][0]
    row, column = (second, first) if swap else (first, second)
    return Plane(
        NORMALS[world[axis][0]],
        axis,
        index,
        swap=swap,
        flips=(world[row][1] > 0, world[column][1] > 0),
        spacing=(spacing[row], spacing[column]),
        edges=(TOWARDS[world[row][0]], TOWARDS[world[column][0]]),
    )


def _world_axes(geometry: Geometry | None) -> tuple[tuple[int, float], ...] | None:
    """Return the nearest world axis of each array axis and its sign; None if the file does not say."""
    if geometry is None or not geometry.is_placed:
        return None
    directions = np.asarray(geometry.direction)
    nearest = np.abs(directions).argmax(axis=1)
    if sorted(nearest.tolist()) != [0, 1, 2]:
        return None
    return tuple((int(axis), float(np.sign(row[axis]))) for axis, row in zip(nearest, directions, strict=True))
