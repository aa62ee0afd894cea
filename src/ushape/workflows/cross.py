"""Compare the folds of a cross-validation: table, report, and what the ensemble's model file says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ushape.core.events import count, format_number
from ushape.core.files import format_csv, read_csv, read_json, write_text
from ushape.measure.folds import Comparison, FoldScores
from ushape.measure.summary import bootstrap_interval
from ushape.plan.recipe import Recipe, list_settings
from ushape.report.contents import Aggregate, ReportData, Setting, dice_per_case
from ushape.report.html import write_report
from ushape.train.run_folder import RunFolder

Rows = Sequence[Mapping[str, str]]
SHOWN = ("case", "class", "dice")


def read_scores(folds: Sequence[RunFolder], classes: Sequence[str]) -> list[Rows]:
    """Read what finished folds have left: one row per held-out case and foreground class."""
    return [[row for row in read_csv(fold.path / "scores.csv") if row["class"] in classes] for fold in folds]


def compare(scores: Sequence[Rows], classes: Sequence[str]) -> Comparison:
    """Bring the scores of all folds together."""
    return Comparison(tuple(_collect(rows, classes) for rows in scores))


def describe_folds(comparison: Comparison) -> str:
    """Say the mean Dice and both spreads."""
    of_folds, of_cases = format_number(comparison.std_over_folds), format_number(comparison.std_over_cases)
    pooled = comparison.pooled
    scored = f"{format_number(pooled.mean)} on {count(len(pooled.cases), 'case')}"
    return f"mean foreground Dice {scored}; standard deviation {of_folds} over folds, {of_cases} over cases"


def score_of_folds(comparison: Comparison) -> dict[str, object]:
    """Return what a model file keeps: as for one training, and each fold's mean; null is what no case has."""
    pooled = comparison.pooled
    return {
        "dice": {name: _null(mean) for name, mean in pooled.means.items()},
        "mean": _null(pooled.mean),
        "folds": [_null(fold.mean) for fold in comparison.folds],
        "std_over_folds": _null(comparison.std_over_folds),
    }


def publish_folds(run: RunFolder, recipe: Recipe, comparison: Comparison, scores: Sequence[Rows]) -> None:
    """Write the table, then the report."""
    write_text(run.comparison, format_csv(comparison.rows()))
    each = "; ".join(f"fold {number}: {format_number(fold.mean)}" for number, fold in enumerate(comparison.folds))
    data = ReportData(
        title=f"Cross-validation on {len(comparison.folds)} folds",
        summary=[
            f"The {describe_folds(comparison)}.",
            f"{each}. Each fold has a report of its own in its folder.",
            "Every case is scored once, by the fold that held it out; it helped to choose that fold's best epoch.",
        ],
        settings=[Setting(*row) for row in list_settings(run.recipe.read_text(encoding="utf-8"))],
        classes=recipe.data.labels.names,
        scores=[{name: row[name] for name in SHOWN} for rows in scores for row in rows],
        aggregates=[
            Aggregate(name, "dice", comparison.pooled.means[name], *bootstrap_interval(values), len(values))
            for name, values in comparison.pooled.dice.items()
        ],
        environment={key: str(value) for key, value in read_json(run.fold(0).environment).items()},
        next_steps=["# masks for new images, by all folds together", f"ushape predict {run.model} IMAGES -o OUT"],
    )
    write_report(run.report, data)


def _collect(rows: Rows, classes: Sequence[str]) -> FoldScores:
    present = [row for row in rows if row["empty"] != "both"]
    dice = {name: [float(row["dice"]) for row in present if row["class"] == name] for name in classes}
    return FoldScores(dice, list(dice_per_case(present).values()))


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
