"""Labels on other grids: no new values, the class with the largest share, and the label nearest in the world."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prep.grids import LAW, ORIENTATIONS, SPACINGS, Plan, oriented, plans, positions

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.prep import slabs
from ushape.prep.label_grid import TIE, resample_label, resample_label_onto
from ushape.prep.orient import Reorient
from ushape.prep.resample import AxisGrid, match_axis
from ushape.prep.slabs import Axes, resample_block

SPACING = st.sampled_from(SPACINGS)


def grids_of(space: tuple[int, ...], spacing: tuple[float, ...], target: tuple[float, ...]) -> list[AxisGrid]:
    return [match_axis(*axis) for axis in zip(space, spacing, target, strict=True)]


def axes_of(plan: Plan, target: tuple[float, float, float]) -> Axes:
    return tuple(
        grid.weights("linear") for grid in grids_of(plan.space, plan.spacing[: plan.ndim], target[: plan.ndim])
    )


def shares(label: np.ndarray, values: list[int], axes: Axes) -> np.ndarray:
    return np.stack([resample_block(label == value, axes) for value in values])


@LAW
@given(plans(), st.tuples(SPACING, SPACING, SPACING))
def test_each_voxel_gets_the_class_with_the_largest_share(plan: Plan, target: tuple[float, float, float]) -> None:
    label, axes = plan.case().label, axes_of(plan, target)
    assert label is not None
    values = [0, 1, 2, -1]
    share = shares(label, values, axes)
    out = resample_label(label, axes)
    assert out.dtype == label.dtype
    assert set(np.unique(out)) <= set(np.unique(label))
    won = np.take_along_axis(share, np.argmax(out[None] == np.reshape(values, (-1, *[1] * plan.ndim)), 0)[None], 0)[0]
    assert (won >= share.max(axis=0) - 3 * TIE).all()


@LAW
@given(plans(), st.tuples(SPACING, SPACING, SPACING))
def test_slabs_change_nothing(plan: Plan, target: tuple[float, float, float]) -> None:
    label, axes = plan.case().label, axes_of(plan, target)
    assert label is not None
    whole = resample_label(label, axes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "MOST_ROWS", 2)
        assert np.array_equal(resample_label(label, axes), whole)


def test_instance_numbers_are_never_mixed() -> None:
    label = np.repeat(np.array([[7, 0, 60000]], dtype=np.int32), 2, axis=0)
    weights = match_axis(3, 1.0, 0.25).weights("linear")
    assert resample_label(label, (None, weights))[0].tolist() == [7] * 4 + [0] * 4 + [60000] * 4


def test_ties_go_to_the_lowest_class_and_never_to_ignored_voxels() -> None:
    half = match_axis(2, 1.0, 2.0).weights("linear")
    assert resample_label(np.array([[2, 1], [1, -1]]), (None, half)).tolist() == [[1], [1]]


@LAW
@given(plans(), st.tuples(SPACING, SPACING, SPACING))
def test_each_class_of_a_multilabel_is_there_where_its_share_is_more_than_half(
    plan: Plan, target: tuple[float, float, float]
) -> None:
    label, axes = plan.case().label, axes_of(plan, target)
    masks = np.stack([label == 1, label != 2])
    expected = np.stack([resample_block(mask, axes) > 0.5 + TIE for mask in masks])
    assert np.array_equal(resample_label(masks, axes), expected)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_a_label_in_another_orientation_comes_onto_the_image_exactly(orientation: tuple) -> None:
    label = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    image = Case("case", np.zeros((1, 3, 4, 5)), oriented(orientation, angles=(0.2, 0.1, -0.3)), label)
    turned, _ = Reorient("canonical").forward(image)
    assert turned.label is not None
    back = resample_label_onto(turned.label, turned.geometry, image.geometry, image.space)
    assert np.array_equal(back, label)


@LAW
@given(plans(3), plans(3))
def test_each_voxel_gets_the_label_nearest_in_the_world(plan: Plan, other: Plan) -> None:
    label = np.arange(1, 1 + np.prod(plan.space)).reshape(plan.space)
    out = resample_label_onto(label, plan.geometry, other.geometry, other.space)
    where = dict(zip(label.ravel().tolist(), positions(plan.geometry, plan.space).reshape(-1, 3), strict=True))
    reach = np.linalg.norm(plan.spacing) / 2 + 1e-3
    distances = [np.linalg.norm(where[value] - place) for value, place in _found(out, other.geometry)]
    assert max(distances, default=0) <= reach


def _found(out: np.ndarray, geometry: Geometry) -> list[tuple[int, np.ndarray]]:
    found = out > 0
    return list(zip(out[found].tolist(), positions(geometry, out.shape)[found], strict=True))


def test_an_oblique_label_keeps_the_shape_of_a_ball() -> None:
    fine = oriented(((2, 1, 0), (1, 1, 1)), (1.0, 1.0, 1.0), origin=(-30.0, -30.0, -30.0))
    image = oriented(((0, 2, 1), (-1, 1, 1)), (2.0, 1.0, 1.5), origin=(20.0, -22.0, -20.0), angles=(0.3, 0.2, 0.1))
    ball = np.linalg.norm(positions(fine, (61, 61, 61)), axis=-1) < 12
    expected = np.linalg.norm(positions(image, (20, 45, 30)), axis=-1) < 12
    onto = resample_label_onto(ball.astype(np.uint8), fine, image, (20, 45, 30))
    dice = 2 * (expected & (onto == 1)).sum() / (expected.sum() + onto.sum())
    assert dice > 0.95


def test_where_the_label_does_not_reach_it_says_so() -> None:
    label, geometry = np.ones((2, 2), dtype=np.int16), Geometry.pixels(2)
    moved = Geometry((1.0, 1.0), "px", (1.0, 0.0), geometry.direction)
    assert resample_label_onto(label, geometry, moved, (2, 3), outside=-1).tolist() == [[1, 1, -1], [-1, -1, -1]]


def test_all_classes_of_a_multilabel_come_along() -> None:
    label, geometry = np.eye(4, dtype=bool).reshape(4, 2, 2), Geometry.pixels(2)
    assert np.array_equal(resample_label_onto(label, geometry, geometry, (2, 2)), label)


def test_grids_that_cannot_be_compared_are_refused() -> None:
    label = np.zeros((2, 2), dtype=np.int16)
    inches = Geometry((1.0, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(ShapeError, match="expected a grid of 2 axes in mm"):
        resample_label_onto(label, Geometry.pixels(2), inches, (2, 2))
    flattened = Geometry((1.0, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (1.0, 0.0)))
    with pytest.raises(DataError, match="repair the header"):
        resample_label_onto(label, flattened, inches, (2, 2))
