"""Scores to files: a table, JSON, nnU-Net's summary, and the report with pictures of the notable cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ushape.core.files import write_json, write_text
from ushape.measure.definitions import base_measure, define_all
from ushape.measure.formats import Row, case_rows, class_rows, comparison_rows, csv_text, to_json, to_nnunet
from ushape.measure.summary import ScoreTable, explain_left_out
from ushape.measure.table import CaseScores
from ushape.report.contents import Aggregate, Baseline, Overlay, ReportData, Setting, Versus, notable_cases
from ushape.report.html import write_report

SHOWN = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd", "boundary_f1")
OBJECTS = ("aji", "mean_ap", "ap_50", "ap_75", "ap_90")
"""The measures of the report, of classes and of objects; the files hold all of them."""

Draw = Callable[[str, str, float], Overlay | None]
"""Draws a case, given its name, its caption and its Dice; None if there is no image to draw on."""


@dataclass(frozen=True)
class Story:
    """What a report tells beside the scores."""

    title: str
    summary: Sequence[str] = ()
    settings: Sequence[Setting] = ()
    curves: Sequence[Mapping[str, str]] = ()
    gradients: Sequence[Mapping[str, object]] = ()
    baseline: Baseline | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    next_steps: Sequence[str] = ()
    versus: Versus | None = None


def publish(folder: Path, table: ScoreTable, classes: Sequence[str], draw: Draw, story: Story) -> Path:
    """Write scores.csv, cases.csv, scores.json, summary.json and report.html; comparison.csv if there is one.

    Returns:
        The report's path.
    """
    table = table.worst_first
    comparison = story.versus.comparison if story.versus else None
    if comparison:
        write_text(folder / "comparison.csv", csv_text(comparison_rows(comparison)))
    if table.cases:
        write_text(folder / "scores.csv", csv_text(class_rows(table.cases)))
        write_text(folder / "cases.csv", csv_text(case_rows(table.cases)))
        write_json(folder / "scores.json", to_json(table, comparison))
        write_json(folder / "summary.json", to_nnunet(table.cases))
    report = folder / "report.html"
    write_report(report, _tell(table, classes, draw, story))
    return report


def _tell(table: ScoreTable, classes: Sequence[str], draw: Draw, story: Story) -> ReportData:
    rows = [row for case in table.cases for row in _rows(case)]
    dice = {case.case_name: case.foreground_dice for case in table.cases}
    drawn = [draw(name, caption, dice[name]) for name, caption in notable_cases(rows).items()]
    measures = [name for name in (*table.class_measures, *table.case_measures) if _is_shown(name)]
    means = table.foreground_summaries(measures)
    return ReportData(
        title=story.title,
        summary=story.summary,
        settings=story.settings,
        curves=story.curves,
        gradients=story.gradients,
        classes=classes,
        scores=rows,
        aggregates=[Aggregate.of(one) for one in means],
        left_out=explain_left_out(means),
        overlays=[overlay for overlay in drawn if overlay is not None],
        baseline=story.baseline,
        versus=story.versus,
        environment=story.environment,
        next_steps=story.next_steps,
        definitions=define_all(measures),
    )


def _rows(case: CaseScores) -> list[Row]:
    """Return a row for each foreground class, without measures of what neither mask has; objects' stand in each."""
    found = case.measures().items()
    objects = {name: value for name, value in found if name in OBJECTS and case.empty(name) != "both"}
    measured = [one.measures() if one.overlap.empty != "both" else {} for one in case.foreground]
    rows = [
        {"case": case.case_name, "class": one.name, **measures, **objects}
        for one, measures in zip(case.foreground, measured, strict=True)
    ]
    return [{key: value for key, value in row.items() if key in ("case", "class") or _is_shown(key)} for row in rows]


def _is_shown(column: str) -> bool:
    return base_measure(column) in SHOWN or column in OBJECTS
