"""Voxels are counted once, and every share of them follows its stated rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray

from ushape.core.errors import DataError, ShapeError
from ushape.measure.overlap import Overlap, confusion_matrix, count_overlaps

INDICES = arrays(np.int16, (5, 6), elements=st.integers(0, 3))
LABELS = arrays(np.int16, (5, 6), elements=st.integers(-1, 3))


@given(INDICES, LABELS)
def test_the_matrix_counts_what_a_loop_counts(prediction: ndarray, label: ndarray) -> None:
    want = np.zeros((4, 4), dtype=int)
    for p, t in zip(prediction.flat, label.flat, strict=True):
        if t >= 0:
            want[t, p] += 1
    assert np.array_equal(confusion_matrix(prediction, label, 4), want)


@given(INDICES, LABELS)
def test_every_share_lies_between_0_and_1_and_the_counts_add_up(prediction: ndarray, label: ndarray) -> None:
    for one in count_overlaps(prediction, label, 4):
        counts = (one.true_positives, one.false_positives, one.false_negatives, one.true_negatives)
        assert sum(counts) == np.count_nonzero(label >= 0)
        assert all(0 <= share <= 1 for share in (one.dice, one.iou, one.precision, one.recall, one.specificity))
        assert one.dice == pytest.approx(2 * one.iou / (1 + one.iou))


@given(INDICES)
def test_a_mask_agrees_perfectly_with_itself(mask: ndarray) -> None:
    for one in count_overlaps(mask, mask, 4):
        assert (one.dice, one.iou, one.precision, one.recall, one.specificity) == (1, 1, 1, 1, 1)


@given(INDICES, INDICES)
def test_swapping_the_masks_swaps_precision_and_recall(a: ndarray, b: ndarray) -> None:
    for one, other in zip(count_overlaps(a, b, 4), count_overlaps(b, a, 4), strict=True):
        assert (one.dice, one.precision) == (other.dice, other.recall)


def test_the_shares_of_a_known_count() -> None:
    one = Overlap(true_positives=6, false_positives=2, false_negatives=4, true_negatives=8)
    assert (one.dice, one.iou, one.precision, one.recall, one.specificity) == (12 / 18, 0.5, 0.75, 0.6, 0.8)
    assert (one.prediction_voxels, one.label_voxels, one.empty) == (8, 10, "none")


@pytest.mark.parametrize(
    ("overlap", "empty", "share"),
    [
        (Overlap(0, 0, 0, 9), "both", 1.0),
        (Overlap(0, 0, 3, 6), "prediction", 0.0),
        (Overlap(0, 3, 0, 6), "label", 0.0),
    ],
)
def test_empty_masks_follow_the_stated_rule(overlap: Overlap, empty: str, share: float) -> None:
    assert overlap.empty == empty
    assert (overlap.dice, overlap.iou, overlap.precision, overlap.recall) == (share,) * 4
    assert Overlap(9, 0, 0, 0).specificity == 1


def test_ignored_voxels_do_not_count_whatever_is_predicted_there() -> None:
    label = np.array([[-1, 1], [0, -1]])
    assert confusion_matrix(np.array([[9, 1], [0, -3]]), label, 2).tolist() == [[1, 0], [0, 1]]


def test_every_integer_type_is_counted() -> None:
    for dtype in (np.uint8, np.int16, np.uint16, np.int64, np.uint64):
        mask = np.array([[0, 1], [2, 1]], dtype=dtype)
        assert confusion_matrix(mask, mask, 3).diagonal().tolist() == [1, 2, 1]


def test_file_values_instead_of_class_indices_are_refused() -> None:
    mask = np.array([[0, 255]], dtype=np.uint8)
    with pytest.raises(DataError, match="class indices 0 to 1 in the prediction, got 0 to 255"):
        confusion_matrix(mask, mask, 2)


def test_masks_on_two_grids_are_refused() -> None:
    with pytest.raises(ShapeError, match="one grid"):
        confusion_matrix(np.zeros((2, 3), dtype=int), np.zeros((3, 2), dtype=int), 2)


def test_multilabel_masks_count_each_channel_by_itself() -> None:
    rng = np.random.default_rng(0)
    prediction, label = rng.random((2, 3, 4, 5)) < 0.5
    for channel, one in enumerate(count_overlaps(prediction, label, 3)):
        assert one == count_overlaps(prediction[channel].astype(int), label[channel].astype(int), 2)[1]


def test_a_volume_larger_than_one_slab_is_counted_whole() -> None:
    label = np.zeros((90, 256, 256), dtype=np.uint8)
    label[40:, 10:] = 1
    matrix = confusion_matrix(label, label, 2)
    assert matrix.sum() == label.size
    assert matrix[1, 1] == np.count_nonzero(label)
