"""Scores as tables: one line per class, and every case with the worst first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ushape.measure.compare import PairedDifference
from ushape.report.contents import Aggregate, Row, Versus, dice_per_case, read_number, read_text
from ushape.report.markup import Child, Html, table, tag
from ushape.report.words import format_chance, format_change, format_interval, format_number, measure_heading

MOST_ROWS = 200
"""A longer table of cases is cut: its worst rows are what a reader looks for."""
KEYS = ("case", "class")


def show_classes(aggregates: Sequence[Aggregate], definitions: Mapping[str, str]) -> Html:
    """Set one line per class: the mean of each measure, its interval below."""
    measures = list(dict.fromkeys(item.measure for item in aggregates))
    found = {(item.class_name, item.measure): item for item in aggregates}
    head = [
        tag("th", "class"),
        tag("th", "cases", class_="number"),
        *(_heading(measure, definitions) for measure in measures),
    ]
    lines = []
    for name in dict.fromkeys(item.class_name for item in aggregates):
        items = [found.get((name, measure)) for measure in measures]
        cases = max(item.cases for item in items if item is not None)
        cells = [_aggregate_cell(item) for item in items]
        lines.append(tag("tr", tag("th", name, scope="row"), tag("td", f"{cases:,}", class_="number"), *cells))
    return tag("div", table(head, lines, caption="Scores per class"), class_="narrow")


def show_objects(aggregates: Sequence[Aggregate], definitions: Mapping[str, str]) -> Html:
    """Set one line per measure of objects: its mean, its interval below, and over how many cases."""
    head = [tag("th", "measure"), *(tag("th", name, class_="number") for name in ("mean", "cases"))]
    lines = [
        tag(
            "tr",
            tag("th", _named(item.measure, definitions), scope="row"),
            _aggregate_cell(item),
            tag("td", f"{item.cases:,}", class_="number"),
        )
        for item in aggregates
    ]
    return table(head, lines, caption="Scores of objects")


def show_cases(scores: Sequence[Row], definitions: Mapping[str, str]) -> Html:
    """Set one line per case and class, the case with the lowest mean Dice first, a bar under each Dice."""
    measures = measure_columns(scores)
    names = [name for name in KEYS if any(name in row for row in scores)]
    head = [*(tag("th", name) for name in names), *(_heading(measure, definitions) for measure in measures)]
    lines = [_case_line(row, names, measures) for row in worst_first(scores)[:MOST_ROWS]]
    return table(head, lines, caption="Scores per case, worst first")


def show_differences(versus: Versus, definitions: Mapping[str, str]) -> Html:
    """Set one line for each class and defined measure: both means, how far apart, and if that may be chance."""
    titles = (versus.name, versus.other, "difference", "better / worse", "p", "cases")
    head = [tag("th", "class"), tag("th", "measure"), *(tag("th", title, class_="number") for title in titles)]
    shown = [one for one in versus.comparison.differences if one.cases and one.measure in definitions]
    lines = [_difference_line(one, definitions) for one in shown]
    return table(head, lines, caption=f"{versus.name} beside {versus.other}")


def worst_first(scores: Sequence[Row]) -> list[Row]:
    """Sort rows by their case's mean Dice; a case's classes stay together, cases without Dice come last."""
    means = dice_per_case(scores)
    return sorted(scores, key=lambda row: (means.get(read_text(row, "case"), math.inf), read_text(row, "case")))


def measure_columns(scores: Iterable[Row]) -> list[str]:
    """Return the columns that hold at least one number, in their order, without case and class.

    >>> measure_columns([{"case": "a", "dice": 0.5, "hd95_mm": ""}])
    ['dice']
    """
    columns = dict.fromkeys(column for row in scores for column in row if column not in KEYS)
    return [column for column in columns if any(not math.isnan(_measure(row, column)) for row in scores)]


def _case_line(row: Row, names: Sequence[str], measures: Sequence[str]) -> Html:
    texts = [tag("th" if name == "case" else "td", read_text(row, name)) for name in names]
    return tag("tr", *texts, *(_number_cell(measure, read_number(row, measure)) for measure in measures))


def _difference_line(one: PairedDifference, definitions: Mapping[str, str]) -> Html:
    interval = tag("small", format_interval(one.low, one.high))
    cells: list[tuple[Child, ...]] = [
        (format_number(one.mean),),
        (format_number(one.other_mean),),
        (format_change(one.difference), interval),
        (f"{one.better} / {one.worse}",),
        (format_chance(one.p_value),),
        (f"{one.cases:,}",),
    ]
    numbers = [tag("td", *cell, class_="number") for cell in cells]
    return tag("tr", tag("th", one.class_name, scope="row"), tag("td", _named(one.measure, definitions)), *numbers)


def _number_cell(measure: str, value: float) -> Html:
    text = format_number(value)
    if measure == "dice" and not math.isnan(value):
        return tag("td", text, class_="number bar", style=f"--part:{100 * value:.1f}%")
    return tag("td", text, class_="number")


def _aggregate_cell(item: Aggregate | None) -> Html:
    if item is None:
        return tag("td", format_number(math.nan), class_="number")
    interval = tag("small", format_interval(item.low, item.high))
    of = f" ({item.cases} of {item.cases + item.infinite})" if item.infinite else ""
    return tag("td", f"{format_number(item.mean)}{of}", interval, class_="number")


def _heading(measure: str, definitions: Mapping[str, str]) -> Html:
    return tag("th", _named(measure, definitions), class_="number")


def _named(measure: str, definitions: Mapping[str, str]) -> Child:
    text = measure_heading(measure)
    if measure in definitions:
        return tag("a", text, href=f"#measure-{measure}", title=definitions[measure])
    return text


def _measure(row: Row, column: str) -> float:
    return read_number(row, column) if column in row else math.nan
