"""Two sets of predictions are compared case by case, never by their means alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ushape.core.errors import DataError
from ushape.measure.compare import PairedDifference, compare_tables, signed_rank
from ushape.measure.summary import ScoreTable
from ushape.measure.table import CaseScores, measure_surfaces, score_case

NAMES = ("background", "cell", "nucleus")


def case_of(wrong: int, name: str, shift: int = 0) -> CaseScores:
    """A row of ten true cell pixels, `wrong` of them missed."""
    truth, guess = np.zeros((2, 4, 20), dtype=int)
    truth[1, 2:12] = 1
    guess[1, 2 + shift : 12 - wrong + shift] = 1
    scores = score_case(guess, truth, classes=NAMES, spacing=(1.0, 1.0), unit="px", name=name)
    return measure_surfaces(scores, guess, truth)


def table_of(*wrong: int, first: int = 0) -> ScoreTable:
    return ScoreTable(tuple(case_of(n, f"case_{first + i}") for i, n in enumerate(wrong)))


def find(found: tuple[PairedDifference, ...], name: str, measure: str) -> PairedDifference:
    return next(one for one in found if (one.class_name, one.measure) == (name, measure))


def test_each_case_is_compared_with_itself() -> None:
    good, bad = table_of(0, 1, 2, 3, 4, 5), table_of(1, 3, 5, 4, 6, 8)
    found = compare_tables(good, bad).differences
    dice, distance = find(found, "cell", "dice"), find(found, "cell", "hd_px")
    want = [a.foreground_dice - b.foreground_dice for a, b in zip(good.cases, bad.cases, strict=True)]
    assert dice.difference == pytest.approx(np.mean(want))
    assert dice.low < dice.difference < dice.high
    assert (dice.cases, dice.better, dice.worse) == (6, 6, 0)
    assert dice.p_value == pytest.approx(2 / 2**6)  # the smallest that six cases can have
    assert distance.difference < 0
    assert (distance.better, distance.worse) == (6, 0)  # smaller distances are better


def test_swapping_the_two_turns_the_sign() -> None:
    one, other = table_of(0, 1, 2, 3, 4), table_of(4, 1, 3, 0, 2)
    for there, back in zip(compare_tables(one, other).differences, compare_tables(other, one).differences, strict=True):
        assert there.difference == pytest.approx(-back.difference, nan_ok=True)
        assert (there.better, there.worse) == (back.worse, back.better)
        assert there.p_value == pytest.approx(back.p_value, nan_ok=True)


def test_equal_predictions_do_not_differ() -> None:
    table = table_of(0, 1, 2, 3, 4)
    for one in compare_tables(table, table).differences:
        if one.cases:
            assert (one.difference, one.better, one.worse, one.p_value) == (0, 0, 0, 1)


def test_cases_are_matched_by_name_and_strangers_listed() -> None:
    found = compare_tables(table_of(0, 1, 2), table_of(5, 1, 2, 3, first=1))
    assert found.cases == ("case_1", "case_2")
    assert (found.only_first, found.only_second) == (("case_0",), ("case_3", "case_4"))
    assert find(found.differences, "cell", "dice").cases == 2
    with pytest.raises(DataError, match="cases of the same names, got case_0 and case_7"):
        compare_tables(table_of(0), table_of(0, first=7))


def test_what_one_side_alone_invents_counts_against_it_and_distances_leave_it_out() -> None:
    empty = np.zeros((4, 20), dtype=int)
    invented = empty.copy()
    invented[0, 0] = 2
    scored = [
        measure_surfaces(score_case(guess, empty, classes=NAMES, spacing=(1.0, 1.0), unit="px", name="a"), guess, empty)
        for guess in (empty, invented)
    ]
    found = compare_tables(*(ScoreTable((case,)) for case in scored)).differences
    dice, distance = find(found, "nucleus", "dice"), find(found, "nucleus", "hd95_px")
    assert (dice.mean, dice.other_mean, dice.better) == (1, 0, 1)
    assert (distance.cases, distance.left_out) == (0, 1)
    assert math.isnan(distance.difference)
    assert find(found, "cell", "dice").cases == 0  # neither has it: nothing to compare


def test_measures_that_are_neither_good_nor_bad_are_not_compared() -> None:
    table = table_of(0, 1)
    measures = {one.measure for one in compare_tables(table, table).differences}
    assert {"dice", "hd95_px", "assd_px", "nsd_2px", "boundary_f1_0.75pct", "pixel_accuracy"} <= measures
    assert not {"voxels", "label_voxels", "area_px", "label_area_px"} & measures


@pytest.mark.parametrize("count", [5, 12, 50, 60])
def test_chance_is_scipys_where_no_ranks_are_equal(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    assert signed_rank(differences.tolist()) == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_chance_counts_all_signs_where_ranks_are_equal() -> None:
    differences = [0.5, 0.5, -0.5, 1.0, 1.0, 2.0, -0.25, 0.0]
    ranks = stats.rankdata(np.abs(differences[:-1]))
    sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=7)])
    reached = np.dot(ranks, np.array(differences[:-1]) > 0)
    assert signed_rank(differences) == pytest.approx(2 * min((sums <= reached).mean(), (sums >= reached).mean()))


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), max_size=12))
def test_chance_lies_between_0_and_1_whatever_the_sign(differences: list[float]) -> None:
    p_value = signed_rank(differences)
    assert math.isnan(p_value) == (not differences)
    if differences:
        assert 0 < p_value <= 1
        assert signed_rank([-value for value in differences]) == pytest.approx(p_value)
