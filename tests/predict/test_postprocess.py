"""Rules that clean a label: laws in 2D and 3D, sizes in mm, and small pictures with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.case import Geometry
from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.predict.postprocess import FillHoles, Largest, MinSize, Rule, Smooth, apply_rules, components, parse_rules
from ushape.predict.predictor import PredictConfig

PX = {2: Geometry.pixels(2), 3: Geometry.pixels(3)}
RULES = (Largest(), Largest(of="class"), MinSize(size=4), FillHoles(), Smooth())


def in_mm(*spacing: float) -> Geometry:
    return Geometry.from_affine(np.diag([*spacing, 1.0]))


def speckle(seed: int, ndim: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(4, size=rng.integers(3, 12, ndim), p=[0.6, 0.2, 0.15, 0.05]).astype(np.int16)


@given(st.integers(0, 200), st.sampled_from([2, 3]), st.sampled_from(RULES))
def test_a_rule_keeps_shape_and_type_invents_no_class_and_leaves_its_input_alone(
    seed: int, ndim: int, rule: Rule
) -> None:
    label = speckle(seed, ndim)
    before = label.copy()
    clean = rule.apply(label, PX[ndim])
    assert (clean.shape, clean.dtype) == (label.shape, label.dtype)
    assert set(np.unique(clean)) <= {0, *np.unique(label)}
    np.testing.assert_array_equal(label, before)


@given(st.integers(0, 200), st.sampled_from([2, 3]), st.sampled_from(RULES[:4]))
def test_what_is_clean_stays_as_it_is(seed: int, ndim: int, rule: Rule) -> None:
    once = rule.apply(speckle(seed, ndim), PX[ndim])
    np.testing.assert_array_equal(rule.apply(once, PX[ndim]), once)


@given(st.integers(0, 100), st.sampled_from([2, 3]))
def test_one_component_is_left_of_the_foreground_or_of_each_class(seed: int, ndim: int) -> None:
    label = speckle(seed, ndim)
    whole = Largest().apply(label, PX[ndim])
    assert len(components(whole > 0)[1]) == min((label > 0).sum(), 1)
    each = Largest(of="class").apply(label, PX[ndim])
    for number in (1, 2, 3):
        assert len(components(each == number)[1]) == min((label == number).sum(), 1)
        assert (each == number).sum() == components(label == number)[1].max(initial=0)


def test_a_rule_may_look_at_some_classes_only() -> None:
    label = np.array([[1, 0, 1, 1, 0, 2, 0, 2, 2]], dtype=np.int16)
    assert Largest(of="class", classes=(2,)).apply(label, PX[2]).tolist() == [[1, 0, 1, 1, 0, 0, 0, 2, 2]]
    assert MinSize(size=2, classes=(1,)).apply(label, PX[2]).tolist() == [[0, 0, 1, 1, 0, 2, 0, 2, 2]]


@pytest.mark.parametrize(("spacing", "kept"), [((1.0, 1.0, 1.0), 8), ((0.5, 1.0, 1.0), 8), ((0.5, 0.9, 1.0), 0)])
def test_a_smallest_volume_is_in_mm(spacing: tuple[float, ...], kept: int) -> None:
    label = np.zeros((6, 6, 6), dtype=np.int16)
    label[1:3, 1:3, 1:3] = 2  # 8 voxels
    rule = MinSize(size=4.0, unit="mm")
    assert (rule.apply(label, in_mm(*spacing)) > 0).sum() == kept


@pytest.mark.parametrize("rule", [MinSize(size=4.0, unit="mm"), Smooth(sigma=1.0, unit="mm")])
def test_mm_need_an_image_that_says_how_large_its_voxels_are(rule: Rule) -> None:
    with pytest.raises(ConfigError, match=r"postprocess\.\w+: expected voxels of known size.*give it in px"):
        rule.apply(np.ones((3, 3), dtype=np.int16), PX[2])


def test_a_hole_is_filled_and_a_bay_or_another_class_is_not() -> None:
    label = np.zeros((7, 12), dtype=np.int16)
    label[0:5, 0:5] = 1
    label[1:4, 1:4] = 0
    label[2, 2] = 2  # within the hole
    label[0:5, 7:12] = 1
    label[0:3, 9] = 0  # open above
    clean = FillHoles().apply(label, PX[2])
    assert (clean[1:4, 1:4] == [[1, 1, 1], [1, 2, 1], [1, 1, 1]]).all()
    np.testing.assert_array_equal(clean[:, 5:], label[:, 5:])


def test_a_hole_in_a_slice_is_no_hole_in_a_volume() -> None:
    label = np.ones((3, 5, 5), dtype=np.int16)
    label[:, 2, 2] = 0
    np.testing.assert_array_equal(FillHoles().apply(label, PX[3]), label)
    label[[0, 2], 2, 2] = 1
    assert FillHoles().apply(label, PX[3]).all()


def test_smoothing_takes_a_spike_and_a_dent_and_leaves_a_straight_border() -> None:
    label = np.zeros((21, 21), dtype=np.int16)
    label[:10] = 1
    straight = label.copy()
    label[10, 10], label[9, 4] = 1, 0
    np.testing.assert_array_equal(Smooth(sigma=1.5).apply(label, PX[2]), straight)


def test_smoothing_in_mm_looks_equally_far_along_all_axes() -> None:
    wide = np.zeros((15, 30), dtype=np.int16)
    wide[4:11, 8:22] = 1
    wide[7, 22] = 1  # a spike of half a millimetre
    coarse, fine = in_mm(1.0, 0.5), in_mm(0.5, 1.0)
    np.testing.assert_array_equal(
        Smooth(sigma=1.0, unit="mm").apply(wide, coarse).T, Smooth(sigma=1.0, unit="mm").apply(wide.T.copy(), fine)
    )
    assert Smooth(sigma=1.0, unit="mm").apply(wide, coarse)[7, 22] == 0


@given(st.integers(0, 50))
def test_smoothing_is_the_largest_gaussian_share(seed: int) -> None:
    from scipy.ndimage import gaussian_filter

    label = speckle(seed, 2)
    shares = [gaussian_filter((label == k).astype(np.float64), 0.7, mode="nearest") for k in range(4)]
    clean, margin = Smooth(sigma=0.7).apply(label, PX[2]), np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2]
    clear = margin > 1e-3
    np.testing.assert_array_equal(clean[clear], np.argmax(shares, axis=0)[clear])


def test_rules_are_applied_in_their_order_and_read_from_a_recipe() -> None:
    table = {"postprocess": [{"name": "min_size", "size": 2}, {"name": "fill_holes"}]}
    rules = parse_config(PredictConfig, table, "predict").postprocess
    assert rules == (MinSize(size=2), FillHoles())
    label = np.ones((5, 5), dtype=np.int16)
    label[1:4, 1:4] = 0
    label[2, 2] = 2  # removed first, then the hole is one
    assert (apply_rules(label, rules, PX[2]) == 1).all()
    with pytest.raises(ConfigError, match=r"postprocess.*"):
        parse_config(PredictConfig, {"postprocess": [{"name": "largset"}]}, "predict")


def test_rules_are_read_as_they_are_written_on_a_command_line() -> None:
    assert parse_rules("none") == ()
    assert parse_rules("largest, fill_holes,smooth=1.5") == (Largest(), FillHoles(), Smooth(sigma=1.5))
    assert parse_rules("min_size=2mm,smooth") == (MinSize(size=2, unit="mm"), Smooth())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("largset", "unknown rule of --postprocess 'largset'; did you mean 'largest'"),
        ("largest=3", "expected no number behind largest, got 3"),
        ("smooth=-1px", r"--postprocess smooth\.sigma: input should be greater than 0"),
        ("min_size=2cm", r"--postprocess min_size\.size: .*valid number"),
        ("", "unknown rule of --postprocess ''"),
    ],
)
def test_a_rule_that_does_not_exist_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_rules(text)


@pytest.mark.parametrize("text", ["auto,fill_holes", "largest, none"])
def test_auto_and_none_stand_alone(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--postprocess .*: expected (auto|none) alone, got rules beside it"):
        parse_rules(text)
