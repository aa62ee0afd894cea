"""The whole of preparation: its order, its way back onto the input's own grid, and its memory."""

import tomllib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prep.grids import LAW, ORIENTATIONS, SPACINGS, Plan, one_hot, oriented, plans

from ushape.core.case import Case, Geometry
from ushape.core.config import parse_config, with_fields
from ushape.core.errors import ConfigError, DataError
from ushape.prep import slabs
from ushape.prep.intensity import PRESETS, ZScore
from ushape.prep.pipeline import Pipeline, PrepConfig

TARGETS = st.tuples(*[st.sampled_from(SPACINGS)] * 3)
SIZES = st.tuples(*[st.integers(1, 12)] * 3)
NOTHING: dict[str, Any] = {"intensity": "none"}


def pipeline(**fields: Any) -> Pipeline:
    return Pipeline(PrepConfig.model_validate(fields))


@LAW
@given(plans(), SIZES, st.sampled_from(["none", "canonical"]), st.sampled_from(["none", "nonzero"]))
def test_without_resampling_a_label_comes_back_exactly(plan: Plan, sizes: tuple, orientation: str, crop: str) -> None:
    case = plan.case()
    size = [max(pair) for pair in zip(plan.sizes, sizes, strict=True)]
    prepared, undo = pipeline(orientation=orientation, crop=crop, fit={"size": [max(size)] * plan.ndim}).forward(case)
    assert prepared.label is not None
    back = undo.label(one_hot(prepared.label, 3))
    kept = np.asarray(case.image)[0] > 0 if crop == "nonzero" else np.ones(case.space, dtype=bool)
    expected = np.maximum(np.asarray(case.label), 0)
    assert np.array_equal(back[kept], expected[kept])


@LAW
@given(plans(), SIZES, TARGETS, st.sampled_from(["none", "canonical"]), st.sampled_from(["none", "nonzero"]))
def test_a_prediction_comes_back_on_the_input_grid(
    plan: Plan, sizes: tuple, target: tuple, orientation: str, crop: str
) -> None:
    case = plan.case()
    fields = {"orientation": orientation, "crop": crop, "resample": {"spacing": target[: plan.ndim]}}
    prepared, undo = pipeline(**fields, fit={"size": sizes[: plan.ndim]}).forward(case)
    raw = np.random.default_rng(0).random((3, *prepared.space)).astype(np.float32)
    probabilities = undo(raw / raw.sum(axis=0))
    assert prepared.space == sizes[: plan.ndim]
    assert probabilities.shape == (3, *case.space)
    assert np.allclose(probabilities.sum(axis=0), 1, atol=1e-4)
    label = undo.label(raw / raw.sum(axis=0))
    assert label.shape == case.space
    won = np.take_along_axis(probabilities, label[None].astype(int), 0)[0]
    assert (won >= probabilities.max(axis=0) - 1e-5).all()


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_a_ball_keeps_its_place_through_everything(orientation: tuple) -> None:
    geometry = oriented(orientation, (1.0, 2.0, 1.5), angles=(0.3, -0.2, 0.1))
    index = np.moveaxis(np.indices((24, 14, 18)), 0, -1)
    ball = np.linalg.norm((index - (12, 6, 8)) * geometry.spacing, axis=-1) < 7
    case = Case("ball", 100.0 * ball[None], geometry, ball.astype(np.int16))
    fields = {"orientation": "canonical", "crop": "nonzero", "resample": {"spacing": (1.3, 1.3, 1.3)}}
    prepared, undo = pipeline(**fields, fit={"size": (16, 16, 16)}).forward(case)
    assert prepared.label is not None
    back = undo.label(one_hot(prepared.label, 2)) == 1
    assert 2 * (back & ball).sum() / (back.sum() + ball.sum()) > 0.93
    centre = np.argwhere(back).mean(axis=0)
    assert np.allclose(centre, np.argwhere(ball).mean(axis=0), atol=0.3)


@LAW
@given(plans())
def test_a_case_is_never_changed(plan: Plan) -> None:
    case = plan.case()
    image, label = np.array(case.image), np.array(case.label)
    for stored in (np.int16, np.float32):
        given_case = case.with_image(image.astype(stored))
        pipeline(orientation="canonical", crop="nonzero", resample={"spacing": plan.spacing[: plan.ndim]}).forward(
            given_case
        )
        assert np.array_equal(given_case.image, image)
        assert np.array_equal(np.asarray(given_case.label), label)


def test_the_order_is_reorient_crop_resample_values_fit() -> None:
    image = np.zeros((1, 8, 6), dtype=np.int16)
    image[0, 2:6, 1:5] = [[0, 0, 10, 10]] * 4
    geometry = Geometry((1.0, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)))
    fields = {"crop": "nonzero", "resample": {"spacing": (2.0, 1.0)}, "intensity": [{"name": "minmax"}]}
    prepared, undo = pipeline(**fields, fit={"size": (4, 4)}).forward(Case("case", image, geometry))
    assert undo.cropped.sizes == (4, 2)
    assert undo.fitted.space == (2, 2)
    assert np.asarray(prepared.image).max() == 0, "values were changed after the crop, which left a constant"


def test_the_default_leaves_the_grid_alone() -> None:
    case = Case("case", np.arange(20.0).reshape(1, 4, 5), Geometry.pixels(2), np.zeros((4, 5), dtype=np.int16))
    prepared, undo = Pipeline(PrepConfig()).forward(case)
    assert prepared.geometry == case.geometry
    assert prepared.label is case.label
    probabilities = np.random.default_rng(0).random((2, 4, 5))
    assert undo(probabilities) is probabilities or np.shares_memory(undo(probabilities), probabilities)


def test_any_decision_is_made_slab_by_slab() -> None:
    case = Case("case", np.zeros((1, 6, 6)), Geometry.pixels(2))
    _, undo = pipeline(resample={"spacing": (2.0, 2.0), "unit": "px"}).forward(case)
    foreground = np.linspace(0, 1, 9).reshape(3, 3)
    probabilities = np.stack([1 - foreground, foreground])
    label = undo.label(probabilities, lambda slab: (slab[1] >= 0.2).astype(np.int16))
    assert np.array_equal(label, (undo(probabilities)[1] >= 0.2).astype(np.int16))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_with_the_file(bad: float) -> None:
    image = np.ones((1, 4, 4), dtype=np.float32)
    image[0, 1, 2] = bad
    case = Case("case", image, Geometry.pixels(2))
    for config in ({}, {"crop": "nonzero"}, {"resample": {"spacing": (0.7, 1.4), "unit": "px"}}):
        with pytest.raises(DataError, match="case: expected finite pixels"), np.errstate(invalid="ignore"):
            pipeline(**config).forward(case)


def test_a_config_reads_as_text() -> None:
    text = """
    orientation = "canonical"
    crop = "nonzero"
    intensity = "ct"
    [resample]
    spacing = [3.0, 1.0, 1.0]
    [fit]
    size = [128, 128, 128]
    """
    config = parse_config(PrepConfig, tomllib.loads(text), "recipe.prep")
    assert config.intensity == PRESETS["ct"]
    assert PrepConfig.model_validate(config.model_dump()) == config
    assert with_fields(PrepConfig(), {"resample.spacing": [1, 1]}).resample.spacing == (1.0, 1.0)
    assert PrepConfig().intensity == (ZScore(),)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("intensity", "ctt", "did you mean 'ct'"),
        ("resample.kernel", "cubik", "did you mean 'cubic'"),
        ("orientation", "RAS", "choose one of: none, canonical"),
        ("fit.size", [0, 1], "greater than or equal to 1"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_nearest(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_fields(PrepConfig(), {field: value})


def peak_of(run: Any) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_beside_the_image_memory_holds_its_copy_and_one_slab() -> None:
    image = np.zeros((1, 90, 256, 256), dtype=np.int16)
    geometry = oriented(((2, 1, 0), (1, -1, -1)), (2.0, 1.0, 1.0))
    fields = {
        "orientation": "canonical",
        "crop": "nonzero",
        "resample": {"spacing": (1.0, 1.0, 1.0)},
        "intensity": "ct",
    }
    case = Case("case", image, geometry)
    copy = 180 * 256 * 256 * 4
    assert peak_of(lambda: pipeline(**fields).forward(case)) < copy + 120e6


def test_deciding_never_holds_all_probabilities() -> None:
    case = Case("case", np.zeros((1, 80, 128, 128), dtype=np.int16), oriented(((2, 1, 0), (1, 1, 1)), (1.0, 1.0, 1.0)))
    prepared, undo = pipeline(resample={"spacing": (4.0, 4.0, 4.0)}).forward(case)
    probabilities = np.ones((30, *prepared.space), dtype=np.float16)
    all_of_them = 30 * 80 * 128 * 128 * 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "VOXELS_PER_SLAB", 2**20)
        assert peak_of(lambda: undo.label(probabilities)) < all_of_them / 5
