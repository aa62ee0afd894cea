"""Resampling meets the spacing, keeps places in the world, and its way back is linear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prep.grids import LAW, SPACINGS, Plan, one_hot, plans, positions

from ushape.core.case import Case, Geometry
from ushape.core.errors import ConfigError, DataError
from ushape.prep import slabs
from ushape.prep.resample import Resample, ResampleConfig, coarse_axis
from ushape.prep.undo import choose_likeliest

TARGETS = st.tuples(*[st.sampled_from(SPACINGS)] * 3)


def resample(plan: Plan, target: tuple[float, ...], **changes: str) -> Resample:
    return Resample(ResampleConfig.model_validate({"spacing": target[: plan.ndim], **changes}))


def slope_case(plan: Plan) -> Case:
    """A case whose values rise evenly along one direction of the world."""
    rise = np.arange(1, plan.ndim + 1) / 4
    return Case("case", (positions(plan.geometry, plan.space) @ rise)[None], plan.geometry)


def inner(place: np.ndarray, plan: Plan, reach: tuple[float, ...]) -> np.ndarray:
    """Say which positions lie inside a grid, away from its ends by some millimetres per axis."""
    start, steps = np.asarray(plan.geometry.origin), np.asarray(plan.geometry.direction)
    along = (place - start) @ np.linalg.inv(steps)
    ends = (np.asarray(plan.space) - 1) * plan.spacing[: plan.ndim]
    margin = np.asarray(reach[: plan.ndim])
    return ((along >= margin - 1e-6) & (along <= ends - margin + 1e-6)).all(axis=-1)


@LAW
@given(plans(largest=24), TARGETS, st.sampled_from(["linear", "cubic", "spline"]), st.sampled_from(["linear", "same"]))
def test_values_stay_at_their_place_in_the_world(plan: Plan, target: tuple, kernel: str, coarse: str) -> None:
    case = slope_case(plan)
    out, _ = resample(plan, target, kernel=kernel, coarse=coarse).forward(case)
    reach = tuple(3 * max(pair) for pair in zip(plan.spacing, target, strict=True))
    place = positions(out.geometry, out.space)
    known = inner(place, plan, reach)
    expected = place @ (np.arange(1, plan.ndim + 1) / 4)
    assert np.allclose(np.asarray(out.image)[0][known], expected[known], atol=1e-2)


@LAW
@given(plans(largest=16), TARGETS)
def test_the_spacing_is_met_and_the_centre_stays(plan: Plan, target: tuple) -> None:
    case = plan.case()
    out, _ = resample(plan, target).forward(case)
    for size, spacing, wanted, got, after in zip(
        plan.space, plan.spacing, target, out.geometry.spacing, out.space, strict=False
    ):
        assert got == (wanted if spacing != wanted else spacing)
        assert after == max(1, int(size * spacing / wanted + 0.5))
    centres = [positions(each.geometry, each.space).reshape(-1, plan.ndim).mean(axis=0) for each in (case, out)]
    assert np.allclose(*centres, atol=1e-6)


@LAW
@given(plans(largest=16), TARGETS)
def test_probabilities_come_back_linear_on_every_axis(plan: Plan, target: tuple) -> None:
    case = plan.case()
    out, undo = resample(plan, target).forward(case)
    rise = np.arange(1, plan.ndim + 1) / 4
    back = undo.probabilities((positions(out.geometry, out.space) @ rise)[None])[0]
    place = positions(case.geometry, case.space)
    known = inner(place, plan, tuple(np.maximum(plan.spacing, target)))
    assert back.shape == case.space
    assert np.allclose(back[known], (place @ rise)[known], atol=1e-3)


@LAW
@given(plans(largest=12), TARGETS)
def test_probabilities_still_sum_to_one_and_are_decided_alike_in_slabs(plan: Plan, target: tuple) -> None:
    out, undo = resample(plan, target).forward(plan.case())
    raw = np.random.default_rng(1).random((4, *out.space)).astype(np.float32)
    probabilities = raw / raw.sum(axis=0)
    back = undo.probabilities(probabilities)
    assert np.allclose(back.sum(axis=0), 1, atol=1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "MOST_ROWS", 3)
        label = undo.decide(probabilities, choose_likeliest)
    won = np.take_along_axis(back, label[None].astype(int), 0)[0]
    assert (won >= back.max(axis=0) - 1e-5).all()


@LAW
@given(plans(largest=8), st.sampled_from([1, 3, 5]))
def test_a_label_made_finer_comes_back_exactly(plan: Plan, factor: int) -> None:
    case = plan.case()
    assert case.label is not None
    label = np.maximum(case.label, 0)
    case = Case("case", case.image, case.geometry, label)
    out, undo = resample(plan, tuple(spacing / factor for spacing in plan.spacing)).forward(case)
    assert out.label is not None
    assert np.array_equal(undo.label(out.label), label)
    assert np.array_equal(undo.decide(one_hot(out.label, 3), choose_likeliest), label)


@LAW
@given(plans(largest=8), TARGETS)
def test_a_constant_stays_constant_and_nothing_overflows_linear_kernels(plan: Plan, target: tuple) -> None:
    case = plan.case()
    flat, _ = resample(plan, target).forward(case.with_image(np.full((1, *case.space), 7, dtype=np.int16)))
    assert np.allclose(flat.image, 7, atol=1e-4)
    out, _ = resample(plan, target, kernel="linear").forward(case)
    assert np.asarray(out.image).min() >= np.asarray(case.image).min() - 1e-3
    assert np.asarray(out.image).max() <= np.asarray(case.image).max() + 1e-3


@LAW
@given(plans(3, largest=12), TARGETS)
def test_turned_and_mapped_images_are_resampled_alike(plan: Plan, target: tuple) -> None:
    case = plan.case()
    step = resample(plan, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "VOXELS_PER_SLAB", 100)
        thin, _ = step.forward(case.with_image(np.asarray(case.image).copy(order="F")))
    whole, _ = step.forward(case)
    assert np.allclose(thin.image, whole.image, atol=1e-2)


@pytest.mark.parametrize(
    ("coarse", "profile"),
    [("nearest", [0, 0, 1, 1]), ("linear", [0.2, 0.4, 0.6, 0.8]), ("same", [0.152, 0.376, 0.624, 0.848])],
)
def test_the_coarse_axis_is_resampled_apart(coarse: str, profile: list[float]) -> None:
    image = np.repeat(np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]), 16).reshape(1, 6, 4, 4)
    geometry = Geometry((5.0, 1.0, 1.0), "mm", (0.0,) * 3, ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    config = ResampleConfig.model_validate({"spacing": (1.0, 0.5, 0.5), "coarse": coarse})
    label = (image[0] > 0).astype(np.int16)
    out, _ = Resample(config).forward(Case("case", image, geometry, label))
    middle = [12, 14, 15, 17] if coarse == "nearest" else [13, 14, 15, 16]
    assert np.asarray(out.image)[0, middle, 3, 3] == pytest.approx(profile, abs=1e-5)
    assert out.label is not None
    assert out.label[:, 0, 0].tolist() == [0] * 15 + [1] * 15


def test_two_coarse_axes_are_no_exception() -> None:
    assert coarse_axis((5.0, 5.0, 1.0), (1.0, 1.0, 1.0)) is None
    assert coarse_axis((1.0, 1.0, 1.0), (1.0, 1.0, 4.0)) == 2


def test_a_case_at_the_spacing_already_is_left_alone() -> None:
    case = Case("case", np.zeros((1, 512, 4)), Geometry((0.8000001, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0))))
    out, undo = Resample(ResampleConfig(spacing=(0.8, 1.0))).forward(case)
    assert out is case
    probabilities = np.random.default_rng(0).random((2, 512, 4))
    assert undo.probabilities(probabilities) is probabilities
    assert np.array_equal(undo.decide(probabilities, choose_likeliest), probabilities.argmax(axis=0))
    assert Resample(ResampleConfig()).forward(case)[0] is case


def test_what_does_not_fit_is_refused() -> None:
    case = Case("slide", np.zeros((1, 4, 4)), Geometry.pixels(2), source="slide.png")
    with pytest.raises(DataError, match=r"slide\.png: expected a spacing in mm, got one in px"):
        Resample(ResampleConfig(spacing=(1.0, 1.0))).forward(case)
    with pytest.raises(ConfigError, match=r"prep\.resample\.spacing: expected 2 numbers"):
        Resample(ResampleConfig(spacing=(1.0, 1.0, 1.0), unit="px")).forward(case)
    with pytest.raises(DataError, match="check both spacings"):
        Resample(ResampleConfig(spacing=(1e-5, 1e-5), unit="px")).forward(case)
    with pytest.raises(ValueError, match="greater than 0"):
        ResampleConfig(spacing=(0.0, 1.0))


def test_pixels_can_be_resampled_too() -> None:
    case = Case("slide", np.ones((1, 4, 6)), Geometry.pixels(2))
    out, _ = Resample(ResampleConfig(spacing=(2.0, 2.0), unit="px")).forward(case)
    assert out.space == (2, 3)
    assert out.geometry.origin == (0.5, 0.5)
