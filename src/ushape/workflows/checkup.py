"""Look back on a run, whatever became of it, and say what is wrong and what to try; nothing in it is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.files import read_csv
from ushape.explain.doctor import Finding, examine
from ushape.explain.history import History, read_history
from ushape.train.run_folder import RunFolder
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
    """Examine a run, or each fold of a cross-validation, and the labels of all cases that were held out.

    Raises:
        DataError: it is no run folder, or its files are damaged.
    """
    run = RunFolder(path)
    if not run.recipe.is_file():
        raise DataError(
            f"{path}: expected the folder of a run, found no {run.recipe.name}; give the -o of ushape train"
        )
    runs = list(list_runs(run))
    return Checkup({each.path.resolve().name: examine(recall(each)) for each in runs}, check_labels(runs))


def list_runs(run: RunFolder) -> Iterator[RunFolder]:
    """Yield the folds of a run that have begun, or the run itself."""
    folds = sorted(folder for folder in run.path.glob("fold-*") if folder.is_dir())
    yield from (RunFolder(folder, run.path) for folder in folds)
    if not folds:
        yield run


def recall(run: RunFolder) -> History:
    """Read what a run left behind."""
    return replace(
        read_history(read_csv(run.metrics)),
        is_finished=run.report.is_file(),
        has_failed=run.evidence.is_file(),
        resume=run.resume_command if run.checkpoint.is_file() or run.home else "",
    )
