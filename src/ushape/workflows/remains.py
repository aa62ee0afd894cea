"""What of a run's files is missing or damaged, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ushape.core.errors import ModelFileError
from ushape.core.events import count
from ushape.core.files import read_csv
from ushape.core.model_file import read_header, read_weights
from ushape.explain.doctor import Finding
from ushape.train.run_folder import RunFolder

COLUMNS = {"epoch", "step", "train_loss", "val_dice"}
"""What every row of metrics.csv has, beside others."""
COPY = "copy {name} again from where the run was made"


def read_metrics(run: RunFolder) -> list[dict[str, str]]:
    """Read the whole rows of metrics.csv; those that were cut off are left out."""
    return [row for row in read_csv(run.metrics) if row.keys() >= COLUMNS and None not in row.values()]


def check_files(run: RunFolder) -> tuple[Finding, ...]:
    """Look for files that a run must have by now, and cannot be used; a training that has just begun lacks many."""
    return tuple(found for check in CHECKS for found in check(run))


def _check_model(run: RunFolder) -> Iterator[Finding]:
    name, again = run.model.name, f"{COPY.format(name=run.model.name)}; without a copy, train anew"
    if run.model.is_file():
        try:
            read_header(run.model)
            read_weights(run.model)
        except ModelFileError as error:
            why = str(error).removeprefix(f"{run.model}: ").rpartition("; ")[0]
            yield Finding("damaged model", f"{name} cannot be used: {why}", again)
    elif run.report.is_file() or _epochs(run):
        after = f"after {count(_epochs(run), 'epoch')}" if _epochs(run) else "after the training ended"
        yield Finding("missing model", f"there is no {name}, which was there {after}", again)


def _check_metrics(run: RunFolder) -> Iterator[Finding]:
    name, again = run.metrics.name, f"{COPY.format(name=run.metrics.name)}; report.html has the curves drawn, if it is"
    if not (run.report.is_file() or run.model.is_file() or run.metrics.is_file()):
        return
    if not run.metrics.is_file():
        yield Finding("missing curves", f"there is no {name}, so the curves cannot be judged", f"{again} there")
    elif not _epochs(run) or _epochs(run) < len(read_csv(run.metrics)):
        held = f"only {count(_epochs(run), 'whole epoch')}" if _epochs(run) else "no epoch"
        yield Finding("damaged curves", f"{name} was cut off or changed: it holds {held}", f"{again} there")


def _check_predictions(run: RunFolder) -> Iterator[Finding]:
    scored = [row["case"] for row in read_csv(run.path / "cases.csv") if row.get("case")]
    names = [file.name for file in run.predictions.rglob("*")]
    missing = [case for case in scored if not any(name.startswith(_starts(case)) for name in names)]
    if missing:
        of = f"those of {len(missing)} of {count(len(scored), 'scored case')}" if names else "all of them"
        again = f"{COPY.format(name='them')}, or predict the images again: ushape predict {run.model} IMAGES -o"
        yield Finding("missing predictions", f"masks are missing in {run.predictions.name}/: {of}", f"{again} MASKS")


def _starts(case: str) -> tuple[str, str]:
    """Return how the masks of a case may begin: several files are numbered or named behind a line."""
    return f"{Path(case).name}.", f"{Path(case).name}_"


def _check_report(run: RunFolder) -> Iterator[Finding]:
    if (run.path / "scores.csv").is_file() and not run.report.is_file():
        again = COPY.format(name=run.report.name)
        if run.model.is_file() and (run.checkpoint.is_file() or run.home):
            again += f", or let it be written anew: {run.resume_command}"
        yield Finding("missing report", f"cases were scored, but there is no {run.report.name}", again)


def _epochs(run: RunFolder) -> int:
    return len(read_metrics(run))


CHECKS: tuple[Callable[[RunFolder], Iterator[Finding]], ...] = (
    _check_model,
    _check_metrics,
    _check_predictions,
    _check_report,
)


def check_home(run: RunFolder) -> Mapping[str, tuple[Finding, ...]]:
    """Check the ensemble of a cross-validation that ended; the files of its folds are their own."""
    found = tuple(_check_model(run)) if run.report.is_file() else ()
    return {run.path.resolve().name: found} if found else {}
