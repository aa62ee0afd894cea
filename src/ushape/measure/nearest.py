"""From each point of one set of voxels to the nearest of another: exact, and fast where most lie close together."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from numpy import ndarray
from scipy.spatial import KDTree

from ushape.core.case import Spacing

Points = Integer[ndarray, "_ ndim"]
_REACH = 6  # voxels of mean size: what lies farther across the first axis is left to the tree
_UNKNOWN = 100  # rows: what lies farther along the first axis is left to the tree; twice it still fits uint8
_VOXELS_PER_POINT = 200  # a looked-up voxel takes about 2 ns, a question to the tree about 500
_LEAF_POINTS = 64  # borders are sheets: large leaves are up to 4 times faster than the default where they lie far apart


@dataclass(frozen=True)
class Frame:
    """The box around two sets of points, with a margin across the first axis; places in it are flat indices."""

    corner: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def around(cls, points: Points, other: Points, spacing: Spacing) -> Frame:
        """Take the smallest box, and the margin that lookups need."""
        margin = np.array([0, *_margins(spacing[1:])])
        low = np.minimum(points.min(axis=0), other.min(axis=0)) - margin
        high = np.maximum(points.max(axis=0), other.max(axis=0)) + margin
        return cls(tuple(low.tolist()), tuple((high - low + 1).tolist()))

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """How many places one voxel along each axis is."""
        return tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    def places(self, points: Points) -> Integer[ndarray, " n"]:
        """Turn points into places."""
        flat: ndarray = (points - np.array(self.corner)) @ np.array(self.strides)
        return flat


@dataclass(frozen=True, eq=False)
class Cloud:
    """A set of points, and their places in a frame."""

    points: Points
    places: Integer[ndarray, " n"]


def nearest_distances(
    points: Points, other: Points, spacing: Spacing
) -> tuple[Float[ndarray, " n"], Float[ndarray, " m"]]:
    """Measure from each point to the nearest other point, and back, each ascending; inf if there is none.

    Points near each other are looked up in a grid of one byte per voxel, the rest asks a KD-tree; so does all of it
    where the grid would be large for its points, as around two blobs far apart. Exact in any case.

    >>> there, back = nearest_distances(np.array([[0, 0], [9, 0]]), np.array([[0, 1], [9, 50]]), (1.0, 0.5))
    >>> there.round(2).tolist(), back.round(2).tolist()
    ([0.5, 9.01], [0.5, 25.0])
    """
    if not (len(points) and len(other)):
        return np.full(len(points), np.inf), np.full(len(other), np.inf)
    order = np.argsort(spacing, kind="stable")  # the first axis is the cheapest to follow: let it be the finest
    points, other, spacing = points[:, order], other[:, order], tuple(spacing[axis] for axis in order)
    frame = Frame.around(points, other, spacing)
    if math.prod(frame.shape) > _VOXELS_PER_POINT * (len(points) + len(other)):
        return np.sort(ask_tree(points, other, spacing)), np.sort(ask_tree(other, points, spacing))
    one, two = (Cloud(each, frame.places(each)) for each in (points, other))
    return _measure(frame, one, two, spacing), _measure(frame, two, one, spacing)


def _measure(frame: Frame, cloud: Cloud, other: Cloud, spacing: Spacing) -> Float[ndarray, " n"]:
    squares, is_known = _look_up(frame, cloud, other, spacing)
    distances = np.sqrt(squares)
    if not is_known.all():
        distances[~is_known] = ask_tree(cloud.points[~is_known], other.points, spacing)
    distances.sort()
    return distances


def ask_tree(points: Points, other: Points, spacing: Spacing) -> Float[ndarray, " n"]:
    """Measure from each point to the nearest other point, in their order, by a KD-tree of the others."""
    tree = KDTree(other * np.asarray(spacing), leafsize=_LEAF_POINTS, compact_nodes=False, balanced_tree=False)
    return tree.query(points * np.asarray(spacing))[0]


def _look_up(
    frame: Frame, cloud: Cloud, other: Cloud, spacing: Spacing
) -> tuple[Float[ndarray, " n"], Bool[ndarray, " n"]]:
    """Find squared distances, looking at rows in rings around each point, the nearest first, while that can help."""
    rows = _count_rows(frame, other).ravel()
    squares = (np.arange(_UNKNOWN + 1) * spacing[0]) ** 2
    squares[_UNKNOWN] = np.inf
    places, left, strides = cloud.places, np.arange(len(cloud.places)), np.array(frame.strides[1:], dtype=np.intp)
    found = best = squares[rows[places]]
    for ring, offsets in _rings(spacing[1:]):
        open_ = best > ring
        if 2 * np.count_nonzero(open_) < len(open_):
            found[left] = best
            left, places, best = left[open_], places[open_], best[open_]
        if not len(left):
            break
        first, *others = (offsets @ strides).tolist()
        nearest = rows[places + first]
        for step in others:
            np.minimum(nearest, rows[places + step], out=nearest)
        np.minimum(best, squares[nearest] + ring, out=best)
    found[left] = best
    return found, found <= min(_reach(spacing[1:]), _UNKNOWN * spacing[0]) ** 2


def _count_rows(frame: Frame, cloud: Cloud) -> UInt8[ndarray, "*space"]:
    """Count from each voxel along the first axis to the nearest point, at most `_UNKNOWN`."""
    rows = np.full(frame.shape, _UNKNOWN, dtype=np.uint8)
    rows.ravel()[cloud.places] = 0
    for ordered in (rows, rows[::-1]):
        for here, before in zip(ordered[1:], ordered[:-1], strict=True):
            np.minimum(here, before + np.uint8(1), out=here)
    return rows


@lru_cache(maxsize=64)
def _rings(spacing: Spacing) -> tuple[tuple[float, Integer[ndarray, "k rest"]], ...]:
    """List squared distance and offsets of the rows around a row, the nearest first, as far as all are within reach."""
    by_ring: dict[float, list[tuple[int, ...]]] = {}
    for offset in itertools.product(*(range(-m, m + 1) for m in _margins(spacing))):
        by_ring.setdefault(math.fsum((o * s) ** 2 for o, s in zip(offset, spacing, strict=True)), []).append(offset)
    return tuple((ring, np.array(by_ring[ring])) for ring in sorted(by_ring) if 0 < ring <= _reach(spacing) ** 2)


def _margins(spacing: Spacing) -> tuple[int, ...]:
    return tuple(int(_reach(spacing) / step) for step in spacing)


def _reach(spacing: Spacing) -> float:
    """Return the distance within which every row is looked at: about as many rows, whatever the spacing is."""
    return _REACH * math.prod(spacing) ** (1 / len(spacing)) if spacing else math.inf
