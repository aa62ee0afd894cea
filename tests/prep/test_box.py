"""Crop and fit cut boxes: voxels keep their value and place, and what was cut off comes back as background."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prep.grids import LAW, Plan, one_hot, places, plans

from ushape.core.case import Case, Geometry
from ushape.core.errors import ConfigError
from ushape.prep.box import Boxed, cut_box
from ushape.prep.crop import Crop, content_box
from ushape.prep.fit import Fit, FitConfig, centre_box

SIZES = st.lists(st.integers(1, 12), min_size=3, max_size=3)


def inside(box: Boxed) -> np.ndarray:
    return box.label(np.ones(box.sizes, dtype=int)) == 1


@LAW
@given(plans(), SIZES)
def test_fitting_is_undone_exactly(plan: Plan, sizes: list[int]) -> None:
    case = plan.case()
    fitted, undo = Fit(FitConfig(size=tuple(sizes[: len(case.space)]))).forward(case)
    assert fitted.space == tuple(sizes[: len(case.space)])
    assert fitted.label is not None
    assert case.label is not None
    kept = inside(undo)
    assert np.array_equal(undo.label(fitted.label)[kept], case.label[kept])
    assert not undo.label(fitted.label)[~kept].any()
    assert kept.mean() == pytest.approx(1 - undo.removed)


@LAW
@given(plans(), SIZES)
def test_probabilities_are_background_where_nothing_was_predicted(plan: Plan, sizes: list[int]) -> None:
    case = plan.case()
    fitted, undo = Fit(FitConfig(size=tuple(sizes[: len(case.space)]))).forward(case)
    predicted = np.stack([np.full(fitted.space, 0.25), np.full(fitted.space, 0.75)])
    back = undo.probabilities(predicted)
    kept = inside(undo)
    assert (back[:, kept] == [[0.25], [0.75]]).all()
    assert (back[:, ~kept] == [[1], [0]]).all()


@LAW
@given(plans(), SIZES)
def test_a_voxel_keeps_its_place_in_the_world(plan: Plan, sizes: list[int]) -> None:
    case = plan.case()
    for step in (Fit(FitConfig(size=tuple(sizes[: len(case.space)]))), Crop("nonzero")):
        boxed, _ = step.forward(case)
        before, after = places(case), places(boxed)
        assert after.keys() <= before.keys()
        assert all(np.allclose(before[number], after[number], atol=1e-9) for number in after)


@LAW
@given(plans())
def test_the_content_box_holds_all_content_and_is_as_small_as_can_be(plan: Plan) -> None:
    case = plan.case()
    box = content_box(np.asarray(case.image))
    found = np.argwhere(np.any(case.image, axis=0))
    assert box.starts == tuple(found.min(axis=0))
    assert box.sizes == tuple(found.max(axis=0) - found.min(axis=0) + 1)


@LAW
@given(plans())
def test_cropping_is_undone_exactly(plan: Plan) -> None:
    case = plan.case()
    cropped, undo = Crop("nonzero").forward(case)
    kept = np.where(inside(undo), case.label, 0)
    assert cropped.label is not None
    assert np.array_equal(undo.label(cropped.label), kept)
    assert np.array_equal(undo.probabilities(one_hot(cropped.label, 3))[1:], one_hot(kept, 3)[1:])


def test_a_crop_says_how_much_it_removed() -> None:
    image = np.zeros((1, 10, 10), dtype=np.uint8)
    image[0, 2:7, 0:5] = 1
    _, undo = Crop("nonzero").forward(Case("case", image, Geometry.pixels(2)))
    assert undo.removed == pytest.approx(0.75)


def test_an_image_without_content_stays_whole() -> None:
    case = Case("case", np.zeros((1, 4, 5)), Geometry.pixels(2))
    cropped, undo = Crop("nonzero").forward(case)
    assert cropped is case
    assert undo.removed == 0


def test_steps_that_are_off_return_the_case_itself() -> None:
    case = Case("case", np.zeros((1, 4, 5)), Geometry.pixels(2))
    assert Crop("none").forward(case)[0] is case
    assert Fit(FitConfig()).forward(case)[0] is case
    assert Fit(FitConfig(size=(4, 5))).forward(case)[0] is case


def test_a_crop_copies_no_voxel() -> None:
    image = np.pad(np.ones((1, 4, 5)), 2)[2:3]
    cropped, _ = Crop("nonzero").forward(Case("case", image, Geometry.pixels(2)))
    assert np.shares_memory(cropped.image, image)


@pytest.mark.parametrize(("fill", "value"), [("zero", 0), ("minimum", -7)])
def test_small_images_are_padded_and_their_margin_is_ignored(fill: str, value: int) -> None:
    case = Case("case", np.full((1, 2, 2), -7), Geometry.pixels(2), np.ones((2, 2), dtype=np.uint8))
    fitted, _ = Fit(FitConfig.model_validate({"size": (4, 2), "fill": fill})).forward(case)
    assert np.asarray(fitted.image)[0, :, 0].tolist() == [value, -7, -7, value]
    assert fitted.label is not None
    assert fitted.label[:, 0].tolist() == [-1, 1, 1, -1]


def test_no_class_of_a_multilabel_covers_the_margin() -> None:
    case = Case("case", np.ones((1, 2, 2)), Geometry.pixels(2), np.ones((3, 2, 2), dtype=bool))
    fitted, undo = Fit(FitConfig(size=(4, 2))).forward(case)
    assert fitted.label is not None
    assert fitted.label[:, :, 0].tolist() == [[False, True, True, False]] * 3
    assert np.array_equal(undo.label(fitted.label), case.label)


def test_a_size_of_another_dimension_is_refused() -> None:
    case = Case("case", np.ones((1, 2, 2)), Geometry.pixels(2))
    with pytest.raises(ConfigError, match=r"prep\.fit\.size: expected 2 numbers"):
        Fit(FitConfig(size=(4, 4, 4))).forward(case)


@LAW
@given(st.integers(1, 30), st.integers(1, 30))
def test_a_centre_box_is_centred(have: int, want: int) -> None:
    box = centre_box((have,), (want,))
    before, after = -box.starts[0], box.starts[0] + want - have
    assert 0 <= abs(after) - abs(before) <= 1
    assert before * after >= 0


def test_a_box_beside_the_grid_is_all_fill() -> None:
    assert cut_box(np.arange(3), [5], [2], 9.0).tolist() == [9, 9]
    assert cut_box(np.arange(3), [-4], [2], 9.0).tolist() == [9, 9]
