"""Distances between borders: cases with a known answer, laws, and other packages' numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray
from scipy import ndimage
from scipy.spatial.distance import cdist
from tests.measure.masks import MASKS

from ushape.core.errors import ShapeError
from ushape.measure.overlap import count_overlaps
from ushape.measure.surface import SurfaceDistances, Tolerances, score_surface, surface_distances, surface_voxels

RANDOM = arrays(np.bool_, (4, 5, 3))
ORACLE = json.loads(Path(__file__).with_name("oracle.json").read_text(encoding="utf-8"))
"""What other packages say of these masks; made by make_oracle.py."""


def cube(size: int, *corner: int, edge: int) -> ndarray:
    mask = np.zeros((size,) * 3, dtype=bool)
    mask[tuple(slice(start, start + edge) for start in corner)] = True
    return mask


def ball(size: int, radius: float) -> ndarray:
    grid = np.indices((size,) * 3) - (size - 1) / 2
    return (grid**2).sum(0) <= radius**2


@pytest.mark.parametrize("name", MASKS)
def test_the_numbers_are_monais(name: str) -> None:
    (prediction, label), spacing = MASKS[name]
    found = surface_distances(prediction, label, spacing)
    overlap = count_overlaps(prediction.astype(int), label.astype(int), 2)[1]
    ours = (overlap.dice, overlap.iou, found.hd, found.hd95, found.assd, found.nsd(2.0))
    assert ours == pytest.approx(tuple(ORACLE[name]["monai"].values()), rel=1e-6)


@pytest.mark.parametrize("name", MASKS)
def test_surfaces_between_voxels_are_no_farther_apart_than_a_voxel_more(name: str) -> None:
    """DeepMind's surfaces go through the corners of voxels."""
    pair, spacing = MASKS[name]
    theirs = ORACLE[name]["surface_distance"]["hd"]
    assert surface_distances(*pair, spacing).hd == pytest.approx(theirs, abs=math.hypot(*spacing))


@settings(deadline=None)
@given(RANDOM.filter(np.any), RANDOM.filter(np.any), st.tuples(*[st.sampled_from([0.3, 1.0, 4.5])] * 3))
def test_every_number_is_that_of_comparing_all_surface_voxels(
    a: ndarray, b: ndarray, spacing: tuple[float, ...]
) -> None:
    borders = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing for mask in (a, b)]
    apart = cdist(*borders)
    there, back = apart.min(axis=1), apart.min(axis=0)
    both, found = np.concatenate([there, back]), surface_distances(a, b, spacing)
    assert found.hd == pytest.approx(both.max())
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert found.assd == pytest.approx(both.mean())
    shares = [(side <= 1.1).mean() for side in (there, back)]
    assert found.nsd(1.1) == pytest.approx((both <= 1.1).mean())
    assert found.boundary_f1(1.1) == pytest.approx(2 * shares[0] * shares[1] / (sum(shares) or 1))


def test_two_voxels_2_mm_apart_are_2_mm_apart() -> None:
    a, b = np.zeros((2, 1, 5, 5), dtype=bool)
    a[0, 2, 1] = b[0, 2, 2] = True
    found = surface_distances(a, b, (1.0, 1.0, 2.0))
    assert (found.hd, found.hd95, found.assd) == (2, 2, 2)
    assert (found.nsd(1.9), found.nsd(2.0)) == (0, 1)


def test_spacing_is_not_ignored() -> None:
    a, b = np.zeros((2, 3, 3), dtype=bool)
    a[0, 0] = b[2, 0] = True
    assert surface_distances(a, b, (5.0, 1.0)).hd == 10


def test_a_cube_in_a_cube_is_as_far_as_the_corners() -> None:
    found = surface_distances(cube(20, 8, 8, 8, edge=4), cube(20, 5, 5, 5, edge=10), (1.0, 1.0, 1.0))
    assert found.hd == pytest.approx(math.sqrt(27))
    assert found.from_prediction.tolist() == [3.0] * len(found.from_prediction)


def test_a_ball_in_a_ball_is_the_difference_of_the_radii_away() -> None:
    found = surface_distances(ball(61, 20), ball(61, 27), (1.0, 1.0, 1.0))
    assert found.assd == pytest.approx(7, abs=0.3)
    assert found.hd == pytest.approx(7, abs=1.0)


def test_a_hole_and_a_far_false_positive_are_both_seen() -> None:
    solid, hollow, stray = cube(24, 2, 2, 2, edge=11), cube(24, 2, 2, 2, edge=11), cube(24, 2, 2, 2, edge=11)
    hollow[7, 7, 7] = False
    stray[23, 7, 7] = True
    assert surface_distances(hollow, solid, (1.0, 1.0, 1.0)).hd == 4
    assert surface_distances(stray, solid, (1.0, 1.0, 1.0)).hd == 11


def test_hd95_is_the_larger_directed_percentile_not_the_pooled_one() -> None:
    found = SurfaceDistances(np.zeros(1000), np.array([0.0] * 90 + [20.0] * 10))
    assert found.hd95 == 20
    assert np.percentile(np.concatenate([found.from_prediction, found.from_label]), 95) == 0


def test_assd_pools_both_surfaces() -> None:
    assert SurfaceDistances(np.array([1.0, 1.0, 1.0]), np.array([5.0])).assd == 2


def test_surfaces_are_the_mask_without_its_erosion() -> None:
    mask = np.random.default_rng(0).random((7, 8, 9)) < 0.8
    assert np.array_equal(surface_voxels(mask), np.argwhere(mask & ~ndimage.binary_erosion(mask)))
    assert surface_voxels(np.zeros((3, 3), dtype=bool)).shape == (0, 2)


def test_distances_are_those_of_a_distance_transform() -> None:
    prediction, label = MASKS["3D"][0]
    spacing = (2.0, 0.7, 1.1)
    border = label & ~ndimage.binary_erosion(label)
    field = ndimage.distance_transform_edt(~border, sampling=spacing)
    want = np.sort(field[prediction & ~ndimage.binary_erosion(prediction)])
    np.testing.assert_allclose(surface_distances(prediction, label, spacing).from_prediction, want)


def test_one_empty_mask_is_infinitely_far_and_two_leave_nothing_to_measure() -> None:
    full, empty = np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool)
    for pair in ((full, empty), (empty, full)):
        one = surface_distances(*pair, (1.0, 1.0))
        assert (one.hd, one.hd95, one.assd, one.nsd(9.0), one.boundary_f1(9.0)) == (math.inf,) * 3 + (0, 0)
    both = surface_distances(empty, empty, (1.0, 1.0))
    assert all(math.isnan(x) for x in (both.hd, both.hd95, both.assd, both.nsd(9.0), both.boundary_f1(9.0)))


def test_boundary_f1_is_the_harmonic_mean_of_the_shares_within_tolerance() -> None:
    found = SurfaceDistances(np.array([0.0, 0.0, 3.0, 3.0]), np.array([0.0, 0.0, 0.0, 3.0]))
    assert found.boundary_f1(1.0) == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    assert SurfaceDistances(np.array([3.0]), np.array([3.0])).boundary_f1(1.0) == 0


@settings(deadline=None)
@given(RANDOM, RANDOM)
def test_distances_are_symmetric(a: ndarray, b: ndarray) -> None:
    there, back = surface_distances(a, b, (1.0, 2.0, 0.5)), surface_distances(b, a, (1.0, 2.0, 0.5))
    for one, other in ((there.hd, back.hd), (there.hd95, back.hd95), (there.assd, back.assd)):
        assert one == pytest.approx(other, nan_ok=True)
    assert there.nsd(1.0) == pytest.approx(back.nsd(1.0), nan_ok=True)


@settings(deadline=None)
@given(RANDOM.filter(np.any))
def test_a_mask_is_at_no_distance_from_itself(mask: ndarray) -> None:
    found = surface_distances(mask, mask, (1.0, 2.0, 0.5))
    assert (found.hd, found.hd95, found.assd, found.nsd(0.0), found.boundary_f1(0.0)) == (0, 0, 0, 1, 1)


@settings(deadline=None)
@given(RANDOM.filter(np.any), RANDOM.filter(np.any), st.floats(0.1, 10))
def test_spacing_scales_distances(a: ndarray, b: ndarray, scale: float) -> None:
    small, large = (surface_distances(a, b, (s, 2 * s, s)) for s in (1.0, scale))
    assert large.hd == pytest.approx(scale * small.hd)
    assert large.assd == pytest.approx(scale * small.assd)
    assert small.hd95 <= small.hd
    assert 0 <= small.assd <= small.hd


def test_a_spacing_that_was_rounded_changes_no_share() -> None:
    a, b = np.zeros((2, 12, 12), dtype=bool)
    a[3:8, 3:8], b[4:9, 3:9] = True, True
    shares = [
        (found.nsd(1.0), found.boundary_f1(2.0))
        for step in (1.0, 1.0000000475, 0.9999999)
        for found in [surface_distances(a, b, (step, step))]
    ]
    assert shares[0] == shares[1] == shares[2]
    assert 0 < shares[0][0] < 1


def test_tolerances_name_themselves_in_the_columns() -> None:
    mask = np.eye(4, dtype=bool)
    mm = Tolerances.choose((300, 400), (1.0, 1.0), "mm", None, None)
    assert mm.boundary_f1 == pytest.approx(0.0075 * 500)
    columns = score_surface(mask, mask, (1.0, 1.0), mm).measures()
    assert list(columns) == ["hd_mm", "hd95_mm", "assd_mm", "nsd_1mm", "boundary_f1_0.75pct"]
    px = Tolerances.choose((300, 400), (1.0, 1.0), "px", None, 1.5)
    assert list(score_surface(mask, mask, (1.0, 1.0), px).measures())[-2:] == ["nsd_2px", "boundary_f1_1.5px"]
    assert Tolerances.choose((300, 400), (1.0, 1.0), "px", 3.0, None).nsd_name == "nsd_3px"


def test_masks_of_two_shapes_or_a_spacing_too_short_are_refused() -> None:
    with pytest.raises(ShapeError, match="one spacing per axis"):
        surface_distances(np.ones((2, 2), dtype=bool), np.ones((2, 2), dtype=bool), (1.0,))
