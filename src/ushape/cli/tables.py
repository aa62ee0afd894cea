"""Tables of scores for the terminal."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from rich.console import Console
from rich.table import Table

from ushape.core.events import count
from ushape.io.listing import name_some, tell_apart
from ushape.measure.compare import PairedComparison, PairedDifference
from ushape.measure.definitions import base_measure
from ushape.measure.summary import WHOLE_CASE, MeasureSummary, ScoreTable, explain_left_out
from ushape.workflows.evaluate import EvaluateRequest, Evaluation

SHOWN = ("dice", "iou", "hd95", "assd", "nsd")
OBJECTS = ("aji", "mean_ap", "ap_50", "ap_75", "ap_90")
WORST = 5


def show_evaluation(request: EvaluateRequest, found: Evaluation) -> None:
    """Print means, the worst cases, and how other predictions compare."""
    console = Console()
    shown = [one for one in found.table.summaries() if _is_shown(one.measure)]
    classes, objects = ([one for one in shown if (one.class_name == WHOLE_CASE) == whole] for whole in (False, True))
    console.print(score_table(found.table, classes))
    if objects:
        console.print(object_table(objects))
    for line in explain_left_out(shown):
        console.print(line, markup=False, highlight=False)
    console.print(worst_table(found.table))
    if found.left_out:
        missing = name_some(path.name for path in found.left_out)
        console.print(f"without a prediction, left out: {missing}", markup=False, highlight=False)
    if found.comparison and request.against:
        console.print(comparison_table(found.comparison, *tell_apart(request.predictions, request.against)))
        for names, path in (
            (found.comparison.only_first, request.predictions),
            (found.comparison.only_second, request.against),
        ):
            if names:
                console.print(f"only in {path}, not compared: {', '.join(names)}", markup=False, highlight=False)


def score_table(table: ScoreTable, shown: Sequence[MeasureSummary]) -> Table:
    """Draw one line per class: the number of cases, and each measure's mean with its 95 % interval."""
    columns = tuple(dict.fromkeys(one.measure for one in shown))
    rows: dict[str, list[MeasureSummary]] = {}
    for one in shown:
        rows.setdefault(one.class_name, []).append(one)
    title = f"mean foreground Dice {table.foreground_dice:.4f}, {count(len(table.cases), 'case')}"
    drawn = _start(
        title, ("class", "cases", *columns), whole={"class", *(one.measure for one in shown if one.infinite)}
    )
    for name, row in rows.items():
        drawn.add_row(name, str(max(one.cases for one in row)), *(format_summary(one, "\n") for one in row))
    return drawn


def object_table(shown: Sequence[MeasureSummary]) -> Table:
    """Draw one line per measure of objects: its mean with its 95 % interval, and the number of cases."""
    drawn = _start("objects", ("measure", "mean", "cases"))
    for one in shown:
        drawn.add_row(one.measure, format_summary(one), str(one.cases))
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
        if one.cases and _is_shown(one.measure):
            drawn.add_row(*_difference_cells(one))
    return drawn


def _is_shown(column: str) -> bool:
    return base_measure(column) in SHOWN or column in OBJECTS


def _start(title: str, columns: tuple[str, ...], *, whole: Container[str] = ()) -> Table:
    """Begin a table; the lines of `whole` columns stay whole where the terminal is narrow."""
    drawn = Table(title=title, title_justify="left", box=None)
    for number, name in enumerate(columns):
        drawn.add_column(name, justify="right" if number else "left", no_wrap=name in whole)
    return drawn


def _difference_cells(one: PairedDifference) -> tuple[str, ...]:
    means = (f"{one.mean:.3f}", f"{one.other_mean:.3f}", format_mean(one.difference, one.low, one.high))
    return (one.class_name, one.measure, *means, f"{one.better}/{one.worse}", f"{one.p_value:.2g}", str(one.cases))


def format_summary(one: MeasureSummary, before_interval: str = " ") -> str:
    """Write a mean with its interval, and over how many cases it is where infinite distances are left out.

    >>> format_summary(MeasureSummary("liver", "hd95_mm", 0.0, 0.0, math.nan, math.nan, cases=3, one_empty=2))
    '0.000 (3 of 5)'
    """
    mean, *interval = format_mean(one.mean, one.low, one.high).split(" ", 1)
    of = f" ({one.cases} of {one.cases + one.infinite})" if one.infinite else ""
    return before_interval.join([mean + of, *interval])


def format_mean(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval.

    >>> format_mean(0.9, 0.85, 0.95)
    '0.900 [0.850, 0.950]'
    """
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
