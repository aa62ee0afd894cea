"""Distances between borders: cases with a known answer, laws, and other packages' numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray
from scipy import ndimage

from ushape.core.errors import ShapeError
from ushape.measure.overlap import count_overlaps
from ushape.measure.surface import SurfaceDistances, Tolerances, score_surface, surface_distances, surface_voxels

MASKS = arrays(np.bool_, (4, 5, 3))
CASES: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "2D": ((40, 50), (1.0, 1.0)),
    "2D anisotropic": ((33, 47), (0.7, 1.9)),
    "3D": ((24, 30, 28), (1.0, 1.0, 1.0)),
    "3D anisotropic": ((16, 40, 36), (5.0, 0.8, 0.8)),
}
# dice, iou, hd, hd95, assd, nsd within 2; printed by make_oracle.py
MONAI_1_6_1 = {
    "2D": (0.7950310707092285, 0.6597937941551208, 17.69180679321289, 5.0, 2.6003894805908203, 0.3788819909095764),
    "2D anisotropic": (
        0.7692307829856873,
        0.625,
        21.378494262695312,
        7.670450210571289,
        2.7616515159606934,
        0.41258740425109863,
    ),
    "3D": (0.7117971181869507, 0.5525504946708679, 14.456831932067871, 3.0, 1.536476492881775, 0.7005307078361511),
    "3D anisotropic": (
        0.7073030471801758,
        0.5471529960632324,
        22.649503707885742,
        5.249762058258057,
        2.1689226627349854,
        0.5225173234939575,
    ),
}


def make_masks(shape: tuple[int, ...]) -> tuple[ndarray, ndarray]:
    """Draw two overlapping blobs with ragged borders and a stray voxel."""
    rng = np.random.default_rng(7)
    grid = np.indices(shape) / np.reshape(shape, (-1, *[1] * len(shape)))
    masks = []
    for center in (0.45, 0.52):
        field = 0.3 - np.sqrt(((grid - center) ** 2).sum(0)) + 0.05 * ndimage.gaussian_filter(rng.normal(size=shape), 1)
        masks.append(field > 0)
    masks[0][(1,) * len(shape)] = True
    return masks[0], masks[1]


def cube(size: int, *corner: int, edge: int) -> ndarray:
    mask = np.zeros((size,) * 3, dtype=bool)
    mask[tuple(slice(start, start + edge) for start in corner)] = True
    return mask


def ball(size: int, radius: float) -> ndarray:
    grid = np.indices((size,) * 3) - (size - 1) / 2
    return (grid**2).sum(0) <= radius**2


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_monais(name: str) -> None:
    shape, spacing = CASES[name]
    prediction, label = make_masks(shape)
    found = surface_distances(prediction, label, spacing)
    overlap = count_overlaps(prediction.astype(int), label.astype(int), 2)[1]
    ours = (overlap.dice, overlap.iou, found.hd, found.hd95, found.assd, found.nsd(2.0))
    assert ours == pytest.approx(MONAI_1_6_1[name], rel=1e-6)


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
    prediction, label = make_masks((24, 30, 28))
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
@given(MASKS, MASKS)
def test_distances_are_symmetric(a: ndarray, b: ndarray) -> None:
    there, back = surface_distances(a, b, (1.0, 2.0, 0.5)), surface_distances(b, a, (1.0, 2.0, 0.5))
    for one, other in ((there.hd, back.hd), (there.hd95, back.hd95), (there.assd, back.assd)):
        assert one == pytest.approx(other, nan_ok=True)
    assert there.nsd(1.0) == pytest.approx(back.nsd(1.0), nan_ok=True)


@settings(deadline=None)
@given(MASKS.filter(np.any))
def test_a_mask_is_at_no_distance_from_itself(mask: ndarray) -> None:
    found = surface_distances(mask, mask, (1.0, 2.0, 0.5))
    assert (found.hd, found.hd95, found.assd, found.nsd(0.0), found.boundary_f1(0.0)) == (0, 0, 0, 1, 1)


@settings(deadline=None)
@given(MASKS.filter(np.any), MASKS.filter(np.any), st.floats(0.1, 10))
def test_spacing_scales_distances(a: ndarray, b: ndarray, scale: float) -> None:
    small, large = (surface_distances(a, b, (s, 2 * s, s)) for s in (1.0, scale))
    assert large.hd == pytest.approx(scale * small.hd)
    assert large.assd == pytest.approx(scale * small.assd)
    assert small.hd95 <= small.hd
    assert 0 <= small.assd <= small.hd


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
