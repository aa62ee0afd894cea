"""Tables of scores for the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from ushape.io.listing import name_some, tell_apart
from ushape.measure.compare import PairedComparison, PairedDifference
from ushape.measure.definitions import base_measure
from ushape.measure.summary import ScoreTable
from ushape.workflows.evaluate import EvaluateRequest, Evaluation

SHOWN = ("dice", "iou", "hd95", "assd", "nsd")
OBJECTS = ("aji", "mean_ap", "ap_50", "ap_75", "ap_90")
WORST = 5


def show_evaluation(request: EvaluateRequest, found: Evaluation) -> None:
    """Print means, the worst cases, and how other predictions compare."""
    console = Console()
    console.print(score_table(found.table), worst_table(found.table), sep="\n")
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


def score_table(table: ScoreTable) -> Table:
    """Draw one line per class: each measure's mean with its 95 % interval, and the number of cases."""
    columns = [name for name in (*table.class_measures, *table.case_measures) if _is_shown(name)]
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
        if one.cases and _is_shown(one.measure):
            drawn.add_row(*_difference_cells(one))
    return drawn


def _is_shown(column: str) -> bool:
    return base_measure(column) in SHOWN or column in OBJECTS


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
