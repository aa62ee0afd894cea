"""Look back on a run, whatever became of it, and say what is wrong and what to try; nothing in it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.files import read_csv
from ushape.explain.doctor import Finding, History, examine, read_history
from ushape.train.run_folder import RunFolder


def check_run(path: Path) -> dict[str, tuple[Finding, ...]]:
    """Examine a run, or each fold of a cross-validation; return what was found by the name of the folder.

    Raises:
        DataError: it is no run folder.
    """
    run = RunFolder(path)
    if not run.recipe.is_file():
        raise DataError(
            f"{path}: expected the folder of a run, found no {run.recipe.name}; give the -o of ushape train"
        )
    return {each.path.name: examine(recall(each)) for each in list_runs(run)}


def list_runs(run: RunFolder) -> Iterator[RunFolder]:
    """Yield the folds of a run that have begun, or the run itself."""
    folds = sorted(folder for folder in run.path.glob("fold-*") if folder.is_dir())
    yield from (RunFolder(folder, run.path) for folder in folds)
    if not folds:
        yield run


def recall(run: RunFolder) -> History:
    """Read what a run left behind."""
    rows = read_csv(run.path / "cases.csv")
    return replace(
        read_history(read_csv(run.metrics)),
        cases={row["case"]: float(row["foreground_dice"] or "nan") for row in rows},
        is_finished=run.report.is_file(),
        has_failed=run.evidence.is_file(),
        resume=run.resume_command if run.checkpoint.is_file() or run.home else "",
    )
