"""Scores to files: a table, JSON, nnU-Net's summary, and the report with pictures of the notable cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ushape.core.files import write_json, write_text
from ushape.measure.definitions import define_all
from ushape.measure.formats import Row, case_rows, class_rows, csv_text, to_json, to_nnunet
from ushape.measure.summary import WHOLE_CASE, ScoreTable
from ushape.report.contents import Aggregate, Baseline, Overlay, ReportData, Setting, notable_cases
from ushape.report.html import write_report

SHOWN = ("dice", "iou", "precision", "recall", "hd95_px", "hd95_mm", "assd_px", "assd_mm", "nsd_2px", "nsd_1mm")
"""The measures of the report; the files hold all of them."""

Draw = Callable[[str, str, float], Overlay | None]
"""Draws a case, given its name, its caption and its Dice; None if there is no image to draw on."""


@dataclass(frozen=True)
class Story:
    """What a report tells beside the scores."""

    title: str
    summary: Sequence[str] = ()
    settings: Sequence[Setting] = ()
    curves: Sequence[Mapping[str, str]] = ()
    baseline: Baseline | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    next_steps: Sequence[str] = ()


def publish(folder: Path, table: ScoreTable, classes: Sequence[str], draw: Draw, story: Story) -> Path:
    """Write scores.csv, cases.csv, scores.json, summary.json and report.html.

    Returns:
        The report's path.
    """
    if table.cases:
        write_text(folder / "scores.csv", csv_text(class_rows(table.cases)))
        write_text(folder / "cases.csv", csv_text(case_rows(table.cases)))
        write_json(folder / "scores.json", to_json(table))
        write_json(folder / "summary.json", to_nnunet(table.cases))
    report = folder / "report.html"
    write_report(report, _tell(table, classes, draw, story))
    return report


def _tell(table: ScoreTable, classes: Sequence[str], draw: Draw, story: Story) -> ReportData:
    rows = [_shown(row) for row in class_rows(table.cases) if row["class"] != classes[0]]
    dice = {case.case_name: case.foreground_dice for case in table.cases}
    drawn = [draw(name, caption, dice[name]) for name, caption in notable_cases(rows).items()]
    measures = [name for name in SHOWN if name in table.class_measures]
    return ReportData(
        title=story.title,
        summary=story.summary,
        settings=story.settings,
        curves=story.curves,
        classes=classes,
        scores=rows,
        aggregates=_aggregates(table, classes, measures),
        overlays=[overlay for overlay in drawn if overlay is not None],
        baseline=story.baseline,
        environment=story.environment,
        next_steps=story.next_steps,
        definitions=define_all(measures),
    )


def _aggregates(table: ScoreTable, classes: Sequence[str], measures: Sequence[str]) -> list[Aggregate]:
    return [
        Aggregate(one.class_name, one.measure, one.mean, one.low, one.high, one.cases)
        for one in table.summaries()
        if one.measure in measures and one.class_name not in (WHOLE_CASE, classes[0])
    ]


def _shown(row: Row) -> Row:
    return {name: value for name, value in row.items() if name in ("case", "class", *SHOWN)}
