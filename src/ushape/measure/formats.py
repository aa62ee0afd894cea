"""Scores as rows for CSV, as JSON, and in the shape of nnU-Net's summary.json."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ushape.measure.compare import PairedComparison
from ushape.measure.definitions import RULES, define_all
from ushape.measure.overlap import Overlap
from ushape.measure.summary import ScoreTable
from ushape.measure.table import CaseScores

Row = dict[str, str | float | int]


def class_rows(scores: Sequence[CaseScores]) -> list[Row]:
    """Return one row for each case and class: case, class, empty, then the measures.

    >>> import numpy as np
    >>> from ushape.measure.table import score_case
    >>> mask = np.eye(2, dtype=int)
    >>> rows = class_rows([score_case(mask, mask, classes=2, spacing=(1.0, 1.0), unit="px", name="a")])
    >>> [rows[1][column] for column in ("case", "class", "empty", "dice")]
    ['a', '1', 'none', 1.0]
    """
    return [
        {"case": case.case_name, "class": one.name, "empty": one.overlap.empty, **one.measures()}
        for case in scores
        for one in case.classes
    ]


def comparison_rows(comparison: PairedComparison) -> list[Row]:
    """Return one row for each class and measure of two sets of predictions."""
    return [asdict(one) for one in comparison.differences]


def case_rows(scores: Sequence[CaseScores]) -> list[Row]:
    """Return one row for each case: its name, then the measures of the whole case."""
    return [{"case": case.case_name, **case.measures()} for case in scores]


def csv_text(rows: Sequence[Mapping[str, str | float | int]]) -> str:
    """Write rows as CSV; a column that a row lacks, or that is nan, stays empty.

    >>> print(csv_text([{"case": "a", "hd_px": math.inf}, {"case": "b", "hd_px": math.nan}]), end="")
    case,hd_px
    a,inf
    b,
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: "" if _is_nan(value) else value for column, value in row.items()} for row in rows)
    return text.getvalue()


def to_json(table: ScoreTable, comparison: PairedComparison | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Return everything as plain data that JSON can hold; nan and infinity are null, `empty` says why."""
    columns = (*table.class_measures, *table.case_measures)
    data = {
        "mean_foreground_dice": table.foreground_dice,
        "mean_iou": table.mean_iou,
        "summaries": [asdict(one) for one in table.summaries(seed=seed)],
        "classes": class_rows(table.cases),
        "cases": case_rows(table.cases),
        "definitions": define_all(("empty", *columns)),
        "rules": RULES,
        **({"comparison": asdict(comparison)} if comparison else {}),
    }
    return {key: nulls_for_nan(value) for key, value in data.items()}


def to_nnunet(scores: Sequence[CaseScores]) -> dict[str, Any]:
    """Return overlap measures in the shape of nnU-Net's summary.json, by its rules.

    Foreground classes only, keyed by class index. Dice and IoU are null where neither mask has the class, and means
    leave those cases out. Case names stand for both files.

    Source: the output of nnU-Net 2's `nnUNetv2_evaluate_folder`, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.

    >>> import numpy as np
    >>> from ushape.measure.table import score_case
    >>> mask = np.array([[0, 1]])
    >>> case = score_case(mask, mask, classes=3, spacing=(1.0, 1.0), unit="px", name="a")
    >>> [to_nnunet([case])["mean"][key]["Dice"] for key in ("1", "2")]
    [1.0, None]
    """
    cases = [{str(one.index): _nnunet_measures(one.overlap) for one in case.foreground} for case in scores]
    mean = {key: _mean_rows([case[key] for case in cases if key in case]) for key in _keys(cases)}
    per_case = [
        {"metrics": metrics, "prediction_file": case.case_name, "reference_file": case.case_name}
        for case, metrics in zip(scores, cases, strict=True)
    ]
    data = {"foreground_mean": _mean_rows(list(mean.values())), "mean": mean, "metric_per_case": per_case}
    return {key: nulls_for_nan(value) for key, value in data.items()}


def nulls_for_nan(data: Any) -> Any:
    """Replace nan and infinity by None, at any depth: JSON has no words for them.

    >>> nulls_for_nan({"a": [math.nan, 1.0, "b"]})
    {'a': [None, 1.0, 'b']}
    """
    if isinstance(data, dict):
        return {key: nulls_for_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [nulls_for_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _nnunet_measures(overlap: Overlap) -> dict[str, float | int]:
    nothing = overlap.empty == "both"
    return {
        "Dice": math.nan if nothing else overlap.dice,
        "FN": overlap.false_negatives,
        "FP": overlap.false_positives,
        "IoU": math.nan if nothing else overlap.iou,
        "TN": overlap.true_negatives,
        "TP": overlap.true_positives,
        "n_pred": overlap.prediction_voxels,
        "n_ref": overlap.label_voxels,
    }


def _keys(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for case in cases for key in case))


def _mean_rows(rows: Sequence[Mapping[str, float | int]]) -> dict[str, float]:
    return {key: _mean_known([row[key] for row in rows]) for key in _keys(rows)}


def _mean_known(values: Sequence[float | int]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
