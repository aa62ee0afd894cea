"""The folder of one training: what lies where in it."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import DataError, OutputError
from ushape.core.files import sweep, write_json
from ushape.core.model_file import MODEL_FILE
from ushape.train.probe import MachineFacts

PACKAGES = ("ushape", "torch", "lightning", "numpy", "scipy", "pillow", "tifffile")


@dataclass(frozen=True)
class RunFolder:
    """The places in a run folder.

    Attributes:
        home: the run whose fold this is; None for a run of its own.
    """

    path: Path
    home: Path | None = None

    def fold(self, number: int) -> RunFolder:
        """Return the run folder of one fold of a cross-validation."""
        return RunFolder(self.path / f"fold-{number}", self.path)

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run."""
        return f"ushape train --resume {self.home or self.path}"

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to go on from or to look at, in it or in a fold of it."""
        kept = (self.checkpoint.name, self.model.name, self.evidence.name)
        return any((folder / name).exists() for folder in (self.path, *self.path.glob("fold-*")) for name in kept)

    @property
    def recipe(self) -> Path:
        """Every choice, with its reason."""
        return self.path / "recipe.toml"

    @property
    def fingerprint(self) -> Path:
        """The facts about the data set."""
        return self.path / "fingerprint.json"

    @property
    def environment(self) -> Path:
        """The versions and the machine."""
        return self.path / "environment.json"

    @property
    def splits(self) -> Path:
        """Which cases train and which validate, and where they lie."""
        return self.path / "splits.json"

    @property
    def choices(self) -> Path:
        """What was measured before the first step."""
        return self.path / "choices.json"

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.path / "metrics.csv"

    @property
    def gradients(self) -> Path:
        """What reached each layer, if that was asked for."""
        return self.path / "gradients.csv"

    @property
    def checkpoint(self) -> Path:
        """The last state of the training, to resume from."""
        return self.path / "last.ckpt"

    @property
    def model(self) -> Path:
        """The best weights, with all that is needed to predict."""
        return self.path / MODEL_FILE

    @property
    def prepared(self) -> Path:
        """The prepared cases; removed when the training ends well."""
        return self.path / "prepared"

    @property
    def shelf(self) -> Path:
        """Where prepared cases outlive the run: beside it, for all runs in that place."""
        return self.path.parent / ".prepared"

    @property
    def predictions(self) -> Path:
        """The predictions of the validation cases."""
        return self.path / "predictions"

    @property
    def report(self) -> Path:
        """The page to look at; written last, so that a run that has it is finished."""
        return self.path / "report.html"

    @property
    def comparison(self) -> Path:
        """The scores of all folds of a cross-validation, and how far they spread."""
        return self.path / "cross_validation.csv"

    @property
    def evidence(self) -> Path:
        """The batch with which a training failed."""
        return self.path / "failed_batch.safetensors"

    @property
    def log(self) -> Path:
        """What was said while training."""
        return self.path / "log.txt"


def create_run(path: Path) -> RunFolder:
    """Make a new run folder.

    Raises:
        OutputError: something is there already, or the place cannot be written.
    """
    refuse_existing(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made ({error.strerror}); choose another place with -o") from error
    return RunFolder(path)


def refuse_existing(path: Path) -> None:
    """Refuse a place for a new run in which something is already.

    Raises:
        OutputError: that is so.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: already there; go on with it by --resume {path}, or choose another place with -o")


def open_run(path: Path) -> RunFolder:
    """Open the folder of an earlier training, and clear away what it left half written.

    Raises:
        DataError: it is none.
    """
    run = RunFolder(path)
    for file in (run.recipe, run.splits):
        if not file.is_file():
            raise DataError(
                f"{path}: expected the folder of a run, found no {file.name}; start one with: ushape train DATA"
            )
    sweep(path)
    return run


def discard_run(run: RunFolder) -> None:
    """Remove a run that failed before it trained anything; one with a checkpoint, a model or a failed batch stays."""
    if not run.has_begun:
        shutil.rmtree(run.path, ignore_errors=True)


def write_environment(run: RunFolder, machine: MachineFacts) -> None:
    """Write down versions and machine."""
    write_json(run.environment, {"device": machine.device_name, "cores": machine.cores, **versions()})


def versions() -> dict[str, str]:
    """List the versions of Python, the system and the packages that matter."""
    found = {"python": sys.version.split()[0], "system": f"{platform.system()} {platform.release()}"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def default_output(data: Path) -> Path:
    """Name a run folder after the data and the time."""
    now = dt.datetime.now().astimezone()
    return Path("runs") / f"{data.resolve().name}-{now:%Y%m%d-%H%M%S}"
