"""Tables of scores for the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from ushape.measure.summary import ScoreTable

SHOWN = ("dice", "iou", "precision", "recall", "hd95_px", "hd95_mm")


def score_table(table: ScoreTable) -> Table:
    """Draw one line per class: each measure's mean with its 95 % interval, and the number of cases."""
    columns = [name for name in SHOWN if name in table.class_measures]
    cells: dict[str, dict[str, str]] = {}
    counts: dict[str, int] = {}
    for one in table.summaries():
        if one.measure in columns:
            cells.setdefault(one.class_name, {})[one.measure] = format_mean(one.mean, one.low, one.high)
            counts[one.class_name] = max(counts.get(one.class_name, 0), one.cases)
    drawn = Table(title=f"mean foreground Dice {table.foreground_dice:.4f}, {len(table.cases)} cases", box=None)
    for name in ("class", *columns, "cases"):
        drawn.add_column(name, justify="left" if name == "class" else "right")
    for name, row in cells.items():
        drawn.add_row(name, *(row.get(column, "-") for column in columns), str(counts[name]))
    return drawn


def format_mean(mean: float, low: float, high: float) -> str:
    """Write a mean with its interval.

    >>> format_mean(0.9, 0.85, 0.95)
    '0.900 [0.850, 0.950]'
    """
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(low) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
