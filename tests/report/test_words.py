"""What a report says in words."""

from __future__ import annotations

import math

import pytest

from ushape.report.contents import Aggregate, Baseline
from ushape.report.words import compare_baseline, describe_spread, explain_scores, format_number, measure_heading

MEAN = Aggregate("nuclei", "dice", 0.9, 0.85, 0.95, 12)


def test_ten_cases_are_described_by_quantiles() -> None:
    sentence = describe_spread([number / 10 for number in range(1, 11)])
    assert sentence == "Half of the 10 cases reach at least 0.550 and nine in ten at least 0.190; the worst has 0.100."


def test_one_case_is_not_described_as_a_spread() -> None:
    assert "Only one case" in describe_spread([0.9])


def test_an_interval_is_explained_only_where_there_is_one() -> None:
    alone = Aggregate("nuclei", "dice", 0.9, math.nan, math.nan, 1)
    assert any("95 % interval" in sentence for sentence in explain_scores([MEAN], [0.9, 0.8], None))
    without = explain_scores([alone], [0.9], None)
    assert not any("95 % interval" in sentence for sentence in without)
    assert any("fewer than five cases" in sentence for sentence in without)


@pytest.mark.parametrize(("dice", "verdict"), [(0.8, "0.100 better"), (0.95, "0.050 worse"), (0.9, "no better")])
def test_a_baseline_is_compared_honestly(dice: float, verdict: str) -> None:
    assert verdict in compare_baseline(0.9, Baseline("Otsu's threshold", dice))


@pytest.mark.parametrize(
    ("column", "heading"),
    [
        ("dice", "Dice"),
        ("nsd_1mm", "NSD 1 mm"),
        ("assd_px", "ASSD (px)"),
        ("volume_error_ml", "Volume error (ml)"),
        ("s", "S"),
        ("precision", "Precision"),
    ],
)
def test_columns_become_headings_with_units(column: str, heading: str) -> None:
    assert measure_heading(column) == heading


def test_infinite_distances_can_be_read() -> None:
    assert (format_number(math.inf), format_number(-math.inf)) == ("∞", "-∞")
