"""Tables of scores for the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from ushape.measure.compare import PairedComparison, PairedDifference
from ushape.measure.summary import WHOLE_CASE, ScoreTable

SHOWN = ("dice", "iou", "hd95_px", "hd95_mm", "assd_px", "assd_mm", "aji", "mean_ap", "ap_50")
WORST = 5


def score_table(table: ScoreTable) -> Table:
    """Draw one line per class: each measure's mean with its 95 % interval, and the number of cases."""
    columns = [name for name in SHOWN if name in (*table.class_measures, *table.case_measures)]
    columns += [name for name in table.class_measures if name.startswith("nsd_")]
    cells: dict[str, dict[str, str]] = {}
    counts: dict[str, int] = {}
    for one in table.summaries():
        if one.measure in columns:
            cells.setdefault(one.class_name, {})[one.measure] = format_mean(one.mean, one.low, one.high)
            counts[one.class_name] = max(counts.get(one.class_name, 0), one.cases)
    drawn = _start(f"mean foreground Dice {table.foreground_dice:.4f}, {len(table.cases)} cases", ("class", *columns))
    drawn.add_column("cases", justify="right")
    for name, row in cells.items():
        drawn.add_row(name, *(row.get(column, "-") for column in columns), str(counts[name]))
    return drawn


def worst_table(table: ScoreTable) -> Table:
    """Draw the cases with the lowest foreground Dice, the Dice of each class beside."""
    worst = table.worst_first.cases[:WORST]
    names = list(dict.fromkeys(one.name for case in worst for one in case.foreground))
    drawn = _start("worst cases", ("case", "foreground Dice", *(f"Dice {name}" for name in names)))
    for case in worst:
        dice = {one.name: one.overlap.dice for one in case.present}
        cells = (case.foreground_dice, *(dice.get(name, math.nan) for name in names))
        drawn.add_row(case.case_name, *(format_mean(value, math.nan, math.nan) for value in cells))
    return drawn


def comparison_table(comparison: PairedComparison, name: str, other: str) -> Table:
    """Draw one line per class and measure: both means, their difference with its interval, and the p-value."""
    title = f"{name} beside {other}, {len(comparison.cases)} cases"
    drawn = _start(title, ("class", "measure", name, other, "difference", "better/worse", "p", "cases"))
    for one in comparison.differences:
        if one.cases and (one.measure in SHOWN or one.measure.startswith("nsd_") or one.class_name == WHOLE_CASE):
            drawn.add_row(*_difference_cells(one))
    return drawn


def _start(title: str, columns: tuple[str, ...]) -> Table:
    drawn = Table(title=title, title_justify="left", box=None)
    for number, name in enumerate(columns):
        drawn.add_column(name, justify="right" if number else "left")
    return drawn


def _difference_cells(one: PairedDifference) -> tuple[str, ...]:
    means = (f"{one.mean:.3f}", f"{one.other_mean:.3f}", format_mean(one.difference, one.low, one.high))
    return (one.class_name, one.measure, *means, f"{one.better}/{one.worse}", f"{one.p_value:.2g}", str(one.cases))


def format_mean(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval.

    >>> format_mean(0.9, 0.85, 0.95)
    '0.900 [0.850, 0.950]'
    """
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
