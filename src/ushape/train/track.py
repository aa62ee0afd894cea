"""Curves for other programs: TensorBoard and MLflow, as files in the run folder. No server, nothing is sent."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ushape.core.config import choose
from ushape.core.errors import require
from ushape.core.events import Validation


@runtime_checkable
class Tracker(Protocol):
    """What keeps the curves of a training."""

    def log(self, row: Validation) -> None:
        """Keep one epoch."""
        ...

    def close(self) -> None:
        """Write out what is not yet written."""
        ...


class TensorBoard:
    """Event files in the folder tensorboard/; look at them with: tensorboard --logdir RUN."""

    def __init__(self, run: Path) -> None:
        require("tensorboard", "track", "logging to TensorBoard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / "tensorboard"))

    def log(self, row: Validation) -> None:
        """Keep one epoch."""
        for name, value in curves(row).items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class MLflow:
    """A local store in the folder mlflow/, of one run; a resumed training goes on with it."""

    def __init__(self, run: Path) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when it is imported
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions ask for a data base else
        require("mlflow", "track", "logging to MLflow")
        from mlflow import MlflowClient

        folder, note = run / "mlflow", run / "mlflow" / "run_id.txt"
        self._client: Any = MlflowClient(tracking_uri=folder.resolve().as_uri())
        if not note.exists():
            experiment = self._client.create_experiment("ushape")
            created = self._client.create_run(experiment, run_name=run.name)
            note.write_text(created.info.run_id, encoding="utf-8")
        self._run = note.read_text(encoding="utf-8")

    def log(self, row: Validation) -> None:
        """Keep one epoch."""
        for name, value in curves(row).items():
            self._client.log_metric(self._run, name, value, step=row.step)

    def close(self) -> None:
        """Mark the run as ended."""
        self._client.set_terminated(self._run)


TRACKERS: dict[str, Callable[[Path], Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow}


def make_trackers(names: Sequence[str], run: Path) -> list[Tracker]:
    """Open the trackers that a recipe asks for.

    Raises:
        MissingExtra: a package is not installed.
    """
    return [choose(name, TRACKERS, "logger")(run) for name in names]


def curves(row: Validation) -> dict[str, float]:
    """Return the numbers of an epoch by the name of their curve; what is not a number is left out."""
    found = {"train_loss": row.train_loss, "val_dice": row.score, "lr": row.lr}
    found |= {f"dice/{name}": value for name, value in row.dice.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}
