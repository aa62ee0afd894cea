"""The nearest point is found, whether it is looked up or asked of a tree."""

from __future__ import annotations

import numpy as np
import pytest
from numpy import ndarray
from scipy.spatial.distance import cdist

from ushape.measure import nearest
from ushape.measure.nearest import nearest_distances


def all_with_all(points: ndarray, other: ndarray, spacing: tuple[float, ...]) -> ndarray:
    return np.sort(cdist(points * np.array(spacing), other * np.array(spacing)).min(axis=1))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.8, 0.8), (0.01, 1.0, 1.0), (0.7, 3.1, 0.2)])
@pytest.mark.parametrize(("extent", "count"), [((30, 30, 30), 1500), ((12, 13, 14), 60), ((250, 9, 8), 70)])
def test_distances_are_those_of_comparing_all_with_all(
    spacing: tuple[float, ...], extent: tuple[int, ...], count: int
) -> None:
    rng = np.random.default_rng(3)
    points, other = (rng.integers(0, extent, (size, 3)) for size in (count, count // 2))
    there, back = nearest_distances(points, other, spacing)
    np.testing.assert_allclose(there, all_with_all(points, other, spacing))
    np.testing.assert_allclose(back, all_with_all(other, points, spacing))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.02, 1.0), (2.0, 0.1)])
def test_flat_sets_of_points_too(spacing: tuple[float, ...]) -> None:
    rng = np.random.default_rng(4)
    points, other = rng.integers(0, (300, 40), (2, 80, 2))
    there, back = nearest_distances(points, other, spacing)
    np.testing.assert_allclose(there, all_with_all(points, other, spacing))
    np.testing.assert_allclose(back, all_with_all(other, points, spacing))


def test_points_far_apart_are_asked_of_the_tree_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_look_up", lambda *_: pytest.fail("a grid of a billion voxels"))
    points, other = np.array([[0, 0, 0]]), np.array([[1000, 1000, 1000]])
    for distances in nearest_distances(points, other, (1.0, 1.0, 1.0)):
        assert distances.tolist() == pytest.approx([1000 * 3**0.5])


def test_points_near_each_other_need_no_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ask_tree", lambda *_: pytest.fail("a tree"))
    sheet = np.argwhere(np.ones((9, 1, 9)))
    there, back = nearest_distances(sheet, sheet + np.array([0, 4, 0]), (1.0, 0.5, 1.0))
    assert {*there, *back} == {2.0}


def test_no_points_have_no_distances_and_nothing_is_infinitely_far() -> None:
    none, some = np.zeros((0, 2), dtype=int), np.array([[1, 2], [3, 4]])
    there, back = nearest_distances(none, some, (1.0, 1.0))
    assert there.shape == (0,)
    assert back.tolist() == [np.inf, np.inf]
