"""What measures are often got wrong by: each trap, and the number it would have given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy import ndarray

from ushape.measure.overlap import count_overlaps
from ushape.measure.summary import ScoreTable
from ushape.measure.surface import surface_distances
from ushape.measure.table import CaseScores, mean_foreground_dice, measure_surfaces, score_case

UNIT = (1.0, 1.0)


def score(guess: ndarray, truth: ndarray, name: str = "a", classes: int = 2) -> CaseScores:
    scores = score_case(guess, truth, classes=classes, spacing=UNIT, unit="px", name=name)
    return measure_surfaces(scores, guess, truth)


def disc(size: int, radius: float, row: float, col: float) -> ndarray:
    rows, cols = np.indices((size, size))
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def directed_hausdorff(points: ndarray, other: ndarray) -> float:
    """Measure as `scipy.spatial.distance.directed_hausdorff`, over all voxels of both masks."""
    ones, others = np.argwhere(points), np.argwhere(other)
    return float(np.sqrt(((ones[:, None] - others) ** 2).sum(axis=2)).min(axis=1).max())


def test_pooled_pixels_hide_a_small_object_that_was_missed() -> None:
    big, small = (np.zeros((64, 64), dtype=int) for _ in range(2))
    big[8:56, 8:56], small[0, :2] = 1, 1
    pairs = [(big, big), (np.zeros_like(small), small)]
    hits, sizes = (sum(int(value) for value in values) for values in zip(*_count(pairs), strict=True))
    assert 2 * hits / sizes > 0.999
    assert mean_foreground_dice([score(*pair, name=str(i)) for i, pair in enumerate(pairs)]) == 0.5


def _count(pairs: list[tuple[ndarray, ndarray]]) -> list[tuple[int, int]]:
    return [((guess & truth).sum(), guess.sum() + truth.sum()) for guess, truth in pairs]


def test_the_mean_is_over_cases_not_over_batches_of_them() -> None:
    row = np.array([[1] * 4 + [0] * 4])
    good = [score(row, row, f"good{i}") for i in range(3)]
    bad = score(row, row[:, ::-1].copy(), "bad")  # alone in a last, short batch
    batches = [good, [bad]]
    assert np.mean([mean_foreground_dice(batch) for batch in batches]) == 0.5
    assert mean_foreground_dice([*good, bad]) == 0.75


def test_dice_over_a_flattened_one_hot_is_pixel_accuracy() -> None:
    truth = np.zeros((10, 10), dtype=int)
    truth[0, :2] = 1
    guess = np.zeros_like(truth)
    one_hot = [np.eye(2, dtype=bool)[mask].ravel() for mask in (guess, truth)]
    flattened = 2 * (one_hot[0] & one_hot[1]).sum() / (one_hot[0].sum() + one_hot[1].sum())
    found = score(guess, truth)
    assert flattened == found.pixel_accuracy == 0.98
    assert found.foreground_dice == 0


def test_a_single_false_pixel_is_no_half_success() -> None:
    truth = np.zeros((8, 8), dtype=int)
    guess = truth.copy()
    guess[0, 0] = 1
    smoothed = (2 * (guess & truth).sum() + 1) / (guess.sum() + truth.sum() + 1)
    assert smoothed == 0.5
    assert count_overlaps(guess, truth, 2)[1].dice == 0


def test_everything_called_foreground_on_an_empty_truth_is_no_perfect_score() -> None:
    truth = np.zeros((8, 8), dtype=int)
    found = score(np.ones_like(truth), truth)
    measures = found.classes[1].measures()
    assert (measures["dice"], measures["iou"], measures["precision"], measures["specificity"]) == (0, 0, 0, 0)
    assert measures["hd95_px"] == math.inf


def test_an_infinite_distance_is_counted_and_ruins_no_mean() -> None:
    truth = np.array([[0, 1, 1, 1, 0, 0]])
    cases = score(np.roll(truth, 1), truth, "found"), score(np.zeros_like(truth), truth, "missed")
    found = {(one.class_name, one.measure): one for one in ScoreTable(cases).summaries()}
    assert (found["1", "hd_px"].mean, found["1", "hd_px"].cases, found["1", "hd_px"].one_empty) == (1, 1, 1)
    assert found["1", "dice"].cases == 2  # but the missed case counts in Dice


def test_distances_between_all_voxels_miss_holes() -> None:
    solid = disc(41, 15, 20, 20)
    hollow = solid & ~disc(41, 9, 20, 20)
    assert directed_hausdorff(hollow, solid) == 0
    assert surface_distances(hollow, solid, UNIT).hd >= 5


def test_one_direction_misses_false_positives() -> None:
    truth = disc(41, 8, 12, 12)
    stray = truth | disc(41, 2, 33, 12)
    assert directed_hausdorff(truth, stray) == 0
    assert surface_distances(stray, truth, UNIT).hd > 13


def test_indices_are_no_millimetres() -> None:
    a, b = np.zeros((2, 4, 4), dtype=bool)
    a[0, 0] = b[2, 0] = True
    assert surface_distances(a, b, UNIT).hd == 2
    assert surface_distances(a, b, (5.0, 0.5)).hd == 10


def test_a_far_blob_vanishes_in_a_pooled_percentile() -> None:
    truth = disc(121, 22, 30, 30)
    guess = disc(121, 21, 30, 30) | disc(121, 1.5, 100, 100)
    found = surface_distances(guess, truth, UNIT)
    pooled = np.percentile(np.concatenate([found.from_prediction, found.from_label]), 95)
    assert pooled < 2
    assert found.hd95 > 25


def test_the_mean_of_directed_means_is_not_the_pooled_mean() -> None:
    truth = disc(81, 6, 40, 20)
    guess = truth | disc(81, 5, 40, 70)
    found = surface_distances(guess, truth, UNIT)
    directed = (found.from_prediction.mean() + found.from_label.mean()) / 2
    assert found.assd > directed + 1
    assert found.assd == np.concatenate([found.from_prediction, found.from_label]).mean()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_that_touches_the_border_has_a_surface_there(axis: int) -> None:
    whole, half = np.ones((6, 6, 6), dtype=bool), np.ones((6, 6, 6), dtype=bool)
    half[(slice(None),) * axis + (slice(3, None),)] = False
    assert surface_distances(whole, half, (1.0, 1.0, 1.0)).hd == 3
