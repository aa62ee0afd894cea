"""Intensity steps make images comparable, and survive images of one constant value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.prep.grids import LAW

from ushape.core.case import Case, Geometry
from ushape.core.config import with_fields
from ushape.core.errors import ConfigError, ShapeError
from ushape.prep import statistics
from ushape.prep.ct import TISSUES, Window
from ushape.prep.intensity import (
    PRESETS,
    Clip,
    ClipPercentiles,
    DatasetStats,
    Fixed,
    Gamma,
    IntensityStep,
    MinMax,
    ZScore,
    apply_steps,
    normalise,
)
from ushape.prep.pipeline import PrepConfig

IMAGES = hnp.arrays(np.float32, (2, 5, 6), elements=st.floats(-1000, 1000, width=32))
STEPS: list[IntensityStep] = [
    Clip(),
    ClipPercentiles(),
    Window(preset="lung"),
    MinMax(),
    Gamma(),
    ZScore(),
    ZScore(within="nonzero"),
    Fixed(),
    DatasetStats(low=(-5.0,), high=(90.0,), mean=(20.0, 30.0), std=(5.0,)),
]


def case_of(image: np.ndarray) -> Case:
    return Case("case", image, Geometry.pixels(image.ndim - 1))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_constant_image_stays_finite_and_float32(step: IntensityStep, ndim: int) -> None:
    out = apply_steps(np.full((2, *(4,) * ndim), 7, dtype=np.float32), [step])
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@LAW
@given(IMAGES)
def test_zscore_gives_mean_zero_and_deviation_one(image: np.ndarray) -> None:
    out = apply_steps(image, [ZScore()])
    for channel, before in zip(out, image, strict=True):
        if before.std() > 1e-2:
            assert abs(channel.mean()) < 1e-3
            assert abs(channel.std() - 1) < 1e-3


@LAW
@given(IMAGES)
def test_minmax_gives_zero_to_one_per_channel(image: np.ndarray) -> None:
    out = apply_steps(image, [MinMax()])
    assert out.min() >= 0
    assert out.max() <= 1
    wide = np.ptp(image, axis=(1, 2)) > 1e-6  # a narrower channel counts as constant
    assert (out[wide].max(axis=(1, 2)) == 1).all()


def test_the_chain_of_the_guides_runs_in_order() -> None:
    assert PRESETS["ct"] == (Clip(low=-200, high=400), MinMax(), Gamma(gamma=0.8), ZScore())
    image = np.array([[[-1000.0, -200.0, 100.0, 3000.0]]])
    scaled = np.array([0, 0, 0.5, 1]) ** 0.8
    expected = (scaled - scaled.mean()) / scaled.std()
    prepared = normalise(case_of(image), PRESETS["ct"])
    assert np.allclose(prepared.image, expected, atol=1e-6)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@LAW
@given(IMAGES)
def test_an_image_is_changed_part_by_part_as_in_one(step: IntensityStep, image: np.ndarray) -> None:
    whole = apply_steps(image, [step])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "VOXELS_PER_PART", 20)
        parts = np.asarray(normalise(case_of(image), [step]).image)
    assert parts.dtype == np.float32
    assert np.allclose(parts, whole, rtol=1e-4, atol=1e-4)


@LAW
@given(IMAGES)
def test_only_an_owner_has_its_image_overwritten(image: np.ndarray) -> None:
    before = image.copy()
    assert not np.shares_memory(normalise(case_of(image), STEPS[:1]).image, image)
    assert np.array_equal(image, before)
    assert np.shares_memory(normalise(case_of(image), STEPS[:1], in_place=True).image, image)


@LAW
@given(IMAGES)
def test_zscore_within_the_mask_leaves_the_outside_at_zero(image: np.ndarray) -> None:
    image[:, :, :2] = 0
    mask = (image != 0).any(axis=0)
    out = apply_steps(image, [ZScore(within="nonzero")])
    assert not out[:, ~mask].any()
    for channel, before in zip(out, image, strict=True):
        if mask.any() and before[mask].std() > 1e-1:
            assert abs(channel[mask].mean()) < 1e-3
            assert abs(channel[mask].std() - 1) < 1e-3


@LAW
@given(IMAGES)
def test_steps_do_to_each_channel_what_their_formulas_say(image: np.ndarray) -> None:
    ends = np.percentile(image, (5, 90), axis=(1, 2))[..., None, None]
    column = np.reshape([10.0, -20.0], (2, 1, 1))
    stats = DatasetStats(low=(-30.0, -50.0), high=(40.0, 60.0), mean=(10.0, -20.0), std=(2.0, 5.0))
    cut = np.clip(image, np.reshape([-30, -50], (2, 1, 1)), np.reshape([40, 60], (2, 1, 1)))
    formulas: list[tuple[IntensityStep, np.ndarray]] = [
        (ClipPercentiles(low=5, high=90), np.clip(image, *ends)),
        (Clip(low=-3, high=90), np.clip(image, -3, 90)),
        (stats, (cut - column) / np.reshape([2, 5], (2, 1, 1))),
        (Fixed(), (image - 0.456) / 0.224),
        (Fixed(mean=(10.0, -20.0), std=(3.0,)), (image - column) / 3),
        (Gamma(gamma=0.5), np.sqrt(np.clip(image, 0, 1))),
    ]
    for step, expected in formulas:
        assert np.allclose(apply_steps(image, [step]), expected, rtol=1e-4, atol=1e-3), step.name


def test_the_presets_are_the_windows_of_radiology() -> None:
    ends = {name: (one.level - one.width / 2, one.level + one.width / 2) for name, one in TISSUES.items()}
    assert ends == {
        "soft_tissue": (-150, 250),
        "lung": (-1350, 150),
        "bone": (-500, 1300),
        "brain": (0, 80),
        "liver": (-45, 105),
    }


@pytest.mark.parametrize("tissue", TISSUES)
def test_a_window_maps_its_ends_to_zero_and_one(tissue: str) -> None:
    window = Window.model_validate({"preset": tissue})
    low, high = (window.range.level + sign * window.range.width / 2 for sign in (-1, 1))
    image = np.array([[[low - 500, low, window.range.level, high, high + 500]]])
    assert apply_steps(image, [window]).tolist() == [[[0, 0, 0.5, 1, 1]]]


@pytest.mark.parametrize("fields", [{}, {"level": 40}, {"preset": "lung", "level": 40, "width": 80}])
def test_a_window_is_a_preset_or_two_numbers(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="a window is either a preset, or a level and a width"):
        with_fields(PrepConfig(), {"intensity": [{"name": "window", **fields}]})


def test_statistics_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected 1 value or 2"):
        apply_steps(np.zeros((2, 3, 3)), [Fixed(mean=(1.0, 2.0, 3.0))])


@pytest.mark.parametrize("fields", [{"low": [0, 1], "high": [1]}, {"low": [2], "high": [1]}])
def test_statistics_that_contradict_each_other_are_refused(fields: dict[str, object]) -> None:
    step = {"name": "dataset_stats", "mean": [0], "std": [1], **fields}
    with pytest.raises(ConfigError, match="low never above high"):
        with_fields(PrepConfig(), {"intensity": [step]})


def test_a_step_reads_from_text_by_its_name() -> None:
    config = PrepConfig.model_validate({"intensity": [{"name": "clip", "low": 0}, {"name": "minmax"}]})
    assert config.intensity == (Clip(low=0), MinMax())
