"""Objects are found, missed or imagined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray

from ushape.core.errors import ConfigError, ShapeError
from ushape.measure.instances import score_instances

OBJECTS = arrays(np.int32, (6, 6), elements=st.integers(0, 4))


def objects_of(mask: ndarray) -> list[ndarray]:
    return [mask == number for number in np.unique(mask[mask > 0])]


def iou(a: ndarray, b: ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def precision_by_hand(prediction: ndarray, label: ndarray, threshold: float) -> float:
    found = sum(iou(p, t) > threshold for p in objects_of(prediction) for t in objects_of(label))
    total = len(objects_of(prediction)) + len(objects_of(label)) - found
    return found / total if total else 1.0


@given(OBJECTS, OBJECTS)
def test_precision_is_what_comparing_all_with_all_gives(prediction: ndarray, label: ndarray) -> None:
    scores = score_instances(prediction, label)
    want = [precision_by_hand(prediction, label, threshold) for threshold in scores.thresholds]
    assert scores.precisions == pytest.approx(want)
    assert scores.mean_ap == pytest.approx(np.mean(want))


@given(OBJECTS)
def test_a_map_matches_itself_under_any_numbering(mask: ndarray) -> None:
    scores = score_instances(np.where(mask > 0, 1000 - mask, 0), mask)
    assert (scores.mean_ap, scores.aji) == (1, 1)
    assert scores.predicted == scores.true


@given(OBJECTS, OBJECTS)
def test_the_jaccard_index_lies_between_0_and_1(prediction: ndarray, label: ndarray) -> None:
    assert 0 <= score_instances(prediction, label).aji <= 1


def test_the_jaccard_index_of_known_objects() -> None:
    label = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 0]])
    prediction = np.array([[5, 5, 5, 0, 0, 0, 6, 6, 0, 7]])
    # pairs 3/4 and 1/3; object 3 is missed (1), object 7 is nobody's (1)
    assert score_instances(prediction, label).aji == pytest.approx((3 + 1) / (4 + 3 + 1 + 1))


def test_two_objects_joined_into_one_count_as_missed() -> None:
    label = np.array([[1, 1, 0, 2, 2]])
    joined = np.array([[1, 1, 1, 1, 1]])
    scores = score_instances(joined, label)
    assert scores.measures()["ap_50"] == 0
    assert scores.aji == pytest.approx((2 + 2) / (5 + 5))


def test_a_match_needs_more_than_the_threshold() -> None:
    scores = score_instances(np.array([[1, 1]]), np.array([[1, 0]]), thresholds=(0.5,))
    assert scores.precisions == (0,)


def test_empty_maps_follow_the_stated_rule() -> None:
    empty, one = np.zeros((3, 3), dtype=int), np.eye(3, dtype=int)
    nothing = score_instances(empty, empty)
    assert (nothing.mean_ap, nothing.aji) == (1, 1)
    for pair in ((empty, one), (one, empty)):
        scores = score_instances(*pair)
        assert (scores.mean_ap, scores.aji) == (0, 0)


def test_ignored_voxels_belong_to_no_object() -> None:
    label = np.array([[1, 1, -1, -1]])
    scores = score_instances(np.array([[4, 4, 4, 9]]), label)
    assert (scores.predicted, scores.mean_ap, scores.aji) == (1, 1, 1)


def test_columns_name_the_threshold() -> None:
    columns = list(score_instances(np.eye(2, dtype=int), np.eye(2, dtype=int)).measures())
    assert columns[:4] == ["aji", "mean_ap", "ap_50", "ap_55"]
    assert columns[-1] == "ap_95"


def test_ambiguous_thresholds_and_two_grids_are_refused() -> None:
    mask = np.eye(2, dtype=int)
    with pytest.raises(ConfigError, match=r"from 0.5 to below 1"):
        score_instances(mask, mask, thresholds=(0.3,))
    with pytest.raises(ShapeError, match="use one grid"):
        score_instances(mask, np.eye(3, dtype=int))
