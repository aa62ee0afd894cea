"""Reorient: let the axes of every volume point the same way, so that left is left in all cases."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Geometry, image_in_memory
from ushape.prep.geometry import last_axes, start_at

Orientation = Literal["none", "canonical"]
"""canonical: axis z towards superior, y towards anterior, x towards right, as near as flips and swaps come."""

WORLD_AXES = (2, 1, 0)
"""The world axis (0 right, 1 anterior, 2 superior) along which each canonical array axis runs: z, y, x."""


@dataclass(frozen=True)
class Reoriented:
    """The way back of a reorientation; exact. Arrays may have axes before the spatial ones.

    Attributes:
        axes: for each axis of the output, which axis of the input it was.
        flips: whether it runs backwards.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    def forward(self, array: ndarray) -> ndarray:
        """Take an array to the output grid; a view."""
        return _flip(_permute(array, self.axes), self.flips)

    def probabilities(self, array: ndarray) -> ndarray:
        """Take an array back to the input grid; a view."""
        return _permute(_flip(array, self.flips), tuple(int(axis) for axis in np.argsort(self.axes)))

    def label(self, label: ndarray) -> ndarray:
        """Take class indices back to the input grid."""
        return np.ascontiguousarray(self.probabilities(label))


class Reorient:
    """Swap and flip the axes of a volume until they run as nearly as can be towards superior, anterior, right.

    No voxel changes its value. Flat images, and volumes in pixels, have no anatomy and stay as they are.
    """

    def __init__(self, orientation: Orientation) -> None:
        self.orientation = orientation

    def forward(self, case: Case) -> tuple[Case, Reoriented]:
        """Return the turned case and the way back."""
        turn = self._choose(case.geometry)
        if turn == _stay(len(case.space)):
            return case, turn
        label = None if case.label is None else np.ascontiguousarray(turn.forward(case.label))
        geometry = turn_geometry(case.geometry, turn, case.space)
        return replace(case, image=turn.forward(image_in_memory(case)), label=label, geometry=geometry), turn

    def _choose(self, geometry: Geometry) -> Reoriented:
        has_anatomy = geometry.ndim == 3 and geometry.is_placed
        return find_turn(geometry) if self.orientation == "canonical" and has_anatomy else _stay(geometry.ndim)


def find_turn(geometry: Geometry) -> Reoriented:
    """Find the swaps and flips that bring a volume's axes nearest to the canonical ones.

    The permutation whose direction cosines sum to the most is taken, so that oblique and sheared grids have one too.

    >>> lps = Geometry((1.0, 1.0, 1.0), "mm", (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)))
    >>> find_turn(lps)
    Reoriented(axes=(0, 1, 2), flips=(False, True, True))
    """
    cosines = np.asarray(geometry.direction)[:, WORLD_AXES]
    nearest = max(itertools.permutations(range(3)), key=lambda axes: float(np.abs(cosines[axes, range(3)]).sum()))
    return Reoriented(nearest, tuple(bool(cosine < 0) for cosine in cosines[nearest, range(3)]))


def turn_geometry(geometry: Geometry, turn: Reoriented, space: tuple[int, ...]) -> Geometry:
    """Return the geometry of a grid of size `space` after a turn: every voxel keeps its place in the world."""
    corner = [0] * len(space)
    for axis, flip in zip(turn.axes, turn.flips, strict=True):
        corner[axis] = space[axis] - 1 if flip else 0
    moved = start_at(geometry, corner)
    direction = tuple(
        tuple(-cosine + 0.0 if flip else cosine for cosine in moved.direction[axis])
        for axis, flip in zip(turn.axes, turn.flips, strict=True)
    )
    return replace(moved, spacing=tuple(moved.spacing[axis] for axis in turn.axes), direction=direction)


def _stay(ndim: int) -> Reoriented:
    return Reoriented(tuple(range(ndim)), (False,) * ndim)


def _permute(array: ndarray, axes: tuple[int, ...]) -> ndarray:
    lead = array.ndim - len(axes)
    return array.transpose(*range(lead), *(lead + axis for axis in axes))


def _flip(array: ndarray, flips: tuple[bool, ...]) -> ndarray:
    steps = [slice(None, None, -1 if flip else 1) for flip in flips]
    return array[last_axes(*steps)]
