"""Cases, their means, and how they are written down."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray

from ushape.core.errors import ConfigError, DataError, ShapeError
from ushape.core.files import write_json
from ushape.measure.definitions import define
from ushape.measure.formats import case_rows, class_rows, csv_text, to_json, to_nnunet
from ushape.measure.summary import ScoreTable, bootstrap_interval
from ushape.measure.table import (
    CaseScores,
    class_means,
    mean_foreground_dice,
    measure_instances,
    measure_surfaces,
    score_case,
)

NAMES = ("background", "liver", "tumour")


def case_of(prediction: Sequence[Sequence[int]], label: Sequence[Sequence[int]], name: str = "a") -> CaseScores:
    guess, truth = np.array(prediction), np.array(label)
    scores = score_case(guess, truth, classes=NAMES, spacing=(1.0, 1.0), unit="px", name=name)
    return measure_surfaces(scores, guess, truth)


EMPTY = case_of([[0, 0, 0, 0]], [[0, 0, 0, 0]], "empty")
MISSED = case_of([[0, 0, 0, 0]], [[0, 1, 1, 0]], "missed")
GOOD = case_of([[0, 1, 1, 0]], [[0, 1, 1, 1]], "good")
BOTH = case_of([[2, 1, 1, 0]], [[2, 1, 1, 0]], "both")


def test_pixels_of_different_images_are_never_pooled() -> None:
    big, small = np.ones((2, 100, 100), dtype=int)
    small[...] = 0
    tiny = small.copy()
    tiny[0, 0] = 1
    grid = {"classes": 2, "spacing": (1.0, 1.0), "unit": "px"}
    scores = [score_case(big, big, name="big", **grid), score_case(small, tiny, name="small", **grid)]
    assert mean_foreground_dice(scores) == 0.5


def test_the_foreground_mean_skips_what_neither_mask_has() -> None:
    assert EMPTY.foreground_dice != EMPTY.foreground_dice
    assert GOOD.foreground_dice == 0.8
    assert mean_foreground_dice([EMPTY, MISSED, GOOD]) == pytest.approx(0.4)
    assert mean_foreground_dice([EMPTY, MISSED, GOOD, BOTH]) == pytest.approx((1.8 / 3 + 1) / 2)
    assert mean_foreground_dice([EMPTY]) == 1
    with pytest.raises(DataError, match="at least one case"):
        mean_foreground_dice([])


def test_class_means_name_the_classes_and_are_nan_where_no_case_has_one() -> None:
    means = class_means([EMPTY, GOOD], "dice")
    assert list(means) == list(NAMES)
    assert means["liver"] == 0.8
    assert math.isnan(means["tumour"])
    with pytest.raises(ConfigError, match="did you mean 'dice'"):
        class_means([GOOD], "dise")


def test_infinite_distances_stay_out_of_means_and_are_counted() -> None:
    table = ScoreTable((EMPTY, MISSED, GOOD))
    found = {(one.class_name, one.measure): one for one in table.summaries()}
    distance, dice = found["liver", "hd95_px"], found["liver", "dice"]
    assert (distance.mean, distance.cases, distance.both_empty, distance.one_empty) == (pytest.approx(0.9), 1, 1, 1)
    assert (dice.mean, dice.cases, dice.both_empty, dice.one_empty) == (0.4, 2, 1, 1)
    assert dice.std == pytest.approx(np.std([0, 0.8], ddof=1))
    assert math.isnan(found["tumour", "dice"].mean)
    assert found["all", "pixel_accuracy"].mean == pytest.approx((1 + 0.5 + 0.75) / 3)


def test_mean_iou_counts_the_background() -> None:
    assert ScoreTable((BOTH,)).mean_iou == 1
    assert ScoreTable((MISSED,)).mean_iou == pytest.approx((0.5 + 0) / 2)


@pytest.mark.parametrize(
    ("unit", "shape", "spacing", "column", "size"),
    [
        ("mm", (4, 5, 5), (5.0, 2.0, 2.0), "volume_ml", 2.0),
        ("mm", (10, 10), (0.5, 2.0), "area_mm2", 100.0),
        ("px", (10, 10), (1.0, 1.0), "area_px", 100.0),
        ("px", (4, 5, 5), (1.0, 1.0, 1.0), "volume_px", 100.0),
    ],
)
def test_sizes_are_in_the_unit_of_the_spacing(
    unit: str, shape: tuple[int, ...], spacing: tuple[float, ...], column: str, size: float
) -> None:
    mask = np.ones(shape, dtype=int)
    measures = score_case(mask, mask, classes=2, spacing=spacing, unit=unit, name="a").classes[1].measures()
    assert measures[column] == pytest.approx(size)
    assert measures[f"label_{column}"] == pytest.approx(size)


def test_pixel_accuracy_leaves_ignored_voxels_out() -> None:
    assert case_of([[0, 1, 1, 0]], [[0, 1, 0, -1]]).pixel_accuracy == pytest.approx(2 / 3)
    nothing = case_of([[0, 1, 1, 0]], [[-1, -1, -1, -1]])
    assert math.isnan(nothing.pixel_accuracy)
    assert nothing.classes[1].overlap.empty == "both"


def test_ignored_voxels_are_no_surface() -> None:
    scores = case_of([[0, 1, 0, 1]], [[0, 1, 0, -1]])
    surface = scores.classes[1].surface
    assert surface is not None
    assert surface.hd == 0


def test_multilabel_masks_have_no_background() -> None:
    label = np.zeros((2, 4, 4), dtype=bool)
    label[0, :2] = label[1, 1:3] = True
    prediction = label.copy()
    prediction[1, 1] = False
    scores = score_case(prediction, label, classes=("cell", "nucleus"), spacing=(1.0, 1.0), unit="px", name="a")
    assert [one.overlap.dice for one in scores.foreground] == [1, pytest.approx(2 / 3)]
    assert scores.pixel_accuracy == pytest.approx(28 / 32)
    surface = measure_surfaces(scores, prediction, label).classes[1].surface
    assert surface is not None
    assert surface.hd == 1


def test_what_does_not_fit_is_refused_with_the_case_named() -> None:
    mask = np.zeros((4, 4), dtype=int)
    with pytest.raises(ShapeError, match="case_7: expected 2 or 3 axes"):
        score_case(mask, mask, classes=2, spacing=(1.0, 1.0, 1.0), unit="mm", name="case_7")


def test_the_bootstrap_is_seeded_and_holds_the_mean() -> None:
    values = list(np.random.default_rng(0).normal(0.8, 0.1, 40))
    low, high = bootstrap_interval(values)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)
    assert low < np.mean(values) < high
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / math.sqrt(40), rel=0.1)
    assert all(math.isnan(end) for end in bootstrap_interval([0.5, 0.6, 0.7, 0.8]))


@given(st.lists(st.floats(0, 1), min_size=5, max_size=9))
def test_an_interval_lies_between_the_extremes(values: list[float]) -> None:
    low, high = bootstrap_interval(values)
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


def test_rows_hold_every_measure_and_the_csv_says_inf_and_nothing() -> None:
    rows = class_rows([MISSED, EMPTY])
    assert [(row["case"], row["class"], row["empty"]) for row in rows[:3]] == [
        ("missed", "background", "none"),
        ("missed", "liver", "prediction"),
        ("missed", "tumour", "both"),
    ]
    header, background, liver, tumour, *_ = csv_text(rows).splitlines()
    columns = header.split(",")
    assert liver.split(",")[columns.index("hd95_px")] == "inf"
    assert tumour.split(",")[columns.index("hd95_px")] == ""
    assert background.split(",")[columns.index("hd95_px")] == ""
    assert case_rows([GOOD])[0]["foreground_dice"] == 0.8


def test_json_is_strict_and_defines_every_column(tmp_path) -> None:
    mask = np.eye(4, dtype=int)
    data = to_json(ScoreTable((measure_instances(GOOD, mask, mask), MISSED)))
    write_json(tmp_path / "scores.json", data)
    read = json.loads((tmp_path / "scores.json").read_text())
    assert read["classes"][4]["hd_px"] is None
    assert read["mean_foreground_dice"] == pytest.approx(0.4)
    written = {key for row in (*read["classes"], *read["cases"]) for key in row} - {"case", "class"}
    assert written == set(read["definitions"])
    assert "directed 95th percentiles" in read["definitions"]["hd95_px"]


def test_a_column_that_is_no_measure_has_no_definition() -> None:
    assert define("ap_50") == define("ap_95")
    with pytest.raises(ConfigError, match="unknown measure"):
        define("hd96_mm")


def test_the_summary_has_nnunets_shape_and_rules() -> None:
    data = to_nnunet([EMPTY, MISSED, GOOD])
    assert list(data) == ["foreground_mean", "mean", "metric_per_case"]
    assert list(data["mean"]) == ["1", "2"]
    assert list(data["mean"]["1"]) == ["Dice", "FN", "FP", "IoU", "TN", "TP", "n_pred", "n_ref"]
    assert data["mean"]["1"]["Dice"] == pytest.approx(0.4)
    assert data["mean"]["2"]["Dice"] is None
    assert data["foreground_mean"]["Dice"] == pytest.approx(0.4)
    assert data["metric_per_case"][0]["metrics"]["1"]["Dice"] is None
    assert data["metric_per_case"][2]["prediction_file"] == "good"
    json.dumps(data, allow_nan=False)


@given(st.permutations([EMPTY, MISSED, GOOD, BOTH]))
def test_the_order_of_the_cases_does_not_matter(scores: list[CaseScores]) -> None:
    assert mean_foreground_dice(scores) == pytest.approx(0.8)


def test_rotating_both_masks_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    masks: list[ndarray] = [rng.integers(0, 3, (6, 7)) for _ in range(2)]
    turned = [np.rot90(mask) for mask in masks]
    pairs = [
        measure_surfaces(score_case(*m, classes=3, spacing=(1.0, 1.0), unit="px", name="a"), *m)
        for m in (masks, turned)
    ]
    for one, other in zip(pairs[0].classes, pairs[1].classes, strict=True):
        assert one.measures() == pytest.approx(other.measures())
