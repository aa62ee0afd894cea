"""Laws of the records that a report is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.errors import DataError, ShapeError
from ushape.report.contents import Overlay, dice_per_case, notable_cases, read_number


def scored(dices: list[float]) -> list[dict[str, object]]:
    return [{"case": f"case_{number:02}", "class": "nuclei", "dice": dice} for number, dice in enumerate(dices)]


def test_cells_from_a_file_and_from_memory_are_read_alike() -> None:
    cells = [0.25, "0.25", np.float32(0.25), np.float64(0.25)]
    assert [read_number({"dice": cell}, "dice") for cell in cells] == [0.25] * 4


@pytest.mark.parametrize("row", [{}, {"dice": None}, {"dice": ""}, {"dice": "nan"}])
def test_an_empty_cell_is_nan(row: dict[str, object]) -> None:
    assert math.isnan(read_number(row, "dice"))


def test_text_in_a_column_of_numbers_is_refused_by_its_column() -> None:
    with pytest.raises(DataError, match="dice: expected a number, got 'good'"):
        read_number({"dice": "good"}, "dice")


def test_a_class_absent_from_a_case_does_not_lower_its_mean() -> None:
    rows = [{"case": "a", "class": "x", "dice": 0.8}, {"case": "a", "class": "y", "dice": math.nan}]
    assert dice_per_case(rows) == {"a": 0.8}


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(1, 3))
def test_notable_cases_are_distinct_ordered_and_hold_the_extremes(dices: list[float], each: int) -> None:
    chosen = list(notable_cases(scored(dices), each=each))
    ranked = [dices[int(name[-2:])] for name in chosen]
    assert ranked == sorted(ranked, reverse=True)
    assert len(chosen) == len(set(chosen)) <= 3 * each
    assert not dices or (ranked[0], ranked[-1]) == (max(dices), min(dices))


@given(st.integers(1, 3), st.integers(0, 12))
def test_as_many_notable_cases_are_chosen_as_there_are(each: int, count: int) -> None:
    chosen = notable_cases(scored([number / 20 for number in range(count)]), each=each)
    assert len(chosen) == count if count <= 2 * each else len(chosen) >= 2 * each


def test_a_caption_says_the_rank() -> None:
    captions = notable_cases(scored([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]), each=2)
    assert list(captions.values()) == [
        "Best of 7",
        "Second best of 7",
        "Middle of 7",
        "Middle of 7",
        "Second worst of 7",
        "Worst of 7",
    ]
    assert list(notable_cases(scored([0.1, 0.2])).values()) == ["Best of 2", "Worst of 2"]
    assert list(notable_cases(scored([0.1, 0.2, 0.3])).values()) == ["Best of 3", "Second best of 3", "Worst of 3"]
    assert notable_cases(scored([0.5])) == {"case_00": "The only scored case"}


def test_an_image_on_another_grid_than_its_prediction_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"scan: prediction has shape \(4, 4\) but image has \(4, 5\)"):
        Overlay("scan", "", np.zeros((1, 4, 5)), np.zeros((4, 4), np.uint8))


def test_a_prediction_of_four_axes_is_refused() -> None:
    with pytest.raises(ShapeError, match="2 or 3 axes"):
        Overlay("scan", "", np.zeros((1, 2, 2, 2, 2)), np.zeros((2, 2, 2, 2), np.uint8))
