"""Look back on a run, whatever became of it, and say what is wrong and what to try; nothing in it is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.explain.doctor import Finding, examine
from ushape.explain.history import History, read_history
from ushape.io.listing import name_some
from ushape.train.run_folder import RunFolder
from ushape.workflows.remains import check_files, check_home, read_metrics
from ushape.workflows.suspects import LabelCheck, check_labels


@dataclass(frozen=True)
class Checkup:
    """What was found in a run.

    Attributes:
        findings: by the name of the run, or of each fold of a cross-validation.
        labels: what its held-out cases say of their labels.
    """

    findings: Mapping[str, tuple[Finding, ...]]
    labels: LabelCheck


def check_run(path: Path) -> Checkup:
    """Examine a run, or each fold of a cross-validation: its files, its curves, the labels of all held-out cases.

    Raises:
        DataError: it is no run folder, or its files are damaged.
    """
    run = RunFolder(path)
    _need_run(run)
    runs = list(list_runs(run))
    found = {each.path.resolve().name: (*check_files(each), *examine(recall(each))) for each in runs}
    return Checkup({**(check_home(run) if runs != [run] else {}), **found}, check_labels(runs))


def _need_run(run: RunFolder) -> None:
    if run.recipe.is_file():
        return
    if not run.path.is_dir():
        got = "a file" if run.path.exists() else "no such folder"
        raise DataError(f"{run.path}: expected the folder of a run, got {got}; give the -o of ushape train")
    within = sorted(file.parent.name for file in run.path.glob(f"*/{run.recipe.name}"))
    remedy = f"give one of the runs in it: {name_some(within)}" if within else "give the -o of ushape train"
    raise DataError(f"{run.path}: expected the folder of a run, found no {run.recipe.name}; {remedy}")


def list_runs(run: RunFolder) -> Iterator[RunFolder]:
    """Yield the folds of a run that have begun, or the run itself."""
    folds = sorted(folder for folder in run.path.glob("fold-*") if folder.is_dir())
    yield from (RunFolder(folder, run.path) for folder in folds)
    if not folds:
        yield run


def recall(run: RunFolder) -> History:
    """Read what a run left behind."""
    return replace(
        read_history(read_metrics(run)),
        is_finished=run.report.is_file() or (run.path / "scores.csv").is_file(),
        has_failed=run.evidence.is_file(),
        resume=run.resume_command if run.checkpoint.is_file() or run.home else "",
    )
