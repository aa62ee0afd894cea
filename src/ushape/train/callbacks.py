"""What a training writes down and reports while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor

from ushape.core.events import Listener, Progress, Validation
from ushape.core.files import append_text, format_csv, read_csv, write_text
from ushape.train.checkpoint import KeepBest
from ushape.train.module import SegmentationModule
from ushape.train.track import Tracker


class Record(Callback):
    """Write one row of metrics.csv per epoch and tell the listener how far training is.

    It must stand after `KeepBest`, whose verdict it writes down.
    """

    def __init__(
        self, path: Path, best: KeepBest, total_steps: int, listener: Listener, trackers: Sequence[Tracker] = ()
    ) -> None:
        self.path, self.best, self.trackers = path, best, trackers
        self.total_steps, self.listener = total_steps, listener
        self._seconds = 0.0
        self._started, self._told = time.monotonic(), -math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut rows that come after the step from which a run goes on."""
        self._started = time.monotonic()
        if trainer.is_global_zero:
            cut_metrics(self.path, steps_done(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report the first step, an epoch's end and at most two a second: reading the loss waits for the device."""
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if is_last or time.monotonic() - self._told >= 0.5:
            self._told = time.monotonic()
            loss = float(outputs["loss"]) if isinstance(outputs, dict) else float("nan")
            self.listener(Progress("train", steps_done(trainer) + 1, self.total_steps, {"loss": loss}))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of this epoch."""
        if trainer.is_global_zero and isinstance(pl_module, SegmentationModule):
            row = self._row(trainer, pl_module)
            append_metrics(self.path, row)
            for tracker in self.trackers:
                tracker.log(row)
            self.listener(row)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the trackers."""
        for tracker in self.trackers:
            tracker.close()

    def state_dict(self) -> dict[str, Any]:
        """Remember the seconds spent."""
        return {"seconds": self._seconds + time.monotonic() - self._started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._seconds = state_dict["seconds"]

    def _row(self, trainer: Trainer, module: SegmentationModule) -> Validation:
        scores = self.best.scores
        return Validation(
            epoch=trainer.current_epoch + 1,
            step=steps_done(trainer),
            train_loss=module.epoch_loss,
            dice=scores.dice if scores else {},
            score=scores.mean if scores else float("nan"),
            is_best=self.best.is_best,
            lr=trainer.optimizers[0].param_groups[0]["lr"],
            seconds=self._seconds + time.monotonic() - self._started,
        )


class StopEarly(EarlyStopping):
    """Stop when validation has not been better for long, also in a run that is resumed after it had stopped."""

    def __init__(self, patience: int) -> None:
        super().__init__("val_dice", mode="max", patience=patience, check_finite=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once if it had come to that already."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class AverageWeights(WeightAveraging):
    """Keep an exponential moving average of weights and norm statistics, and validate with it.

    Its decay grows with the number n of updates as min(decay, n / (n + 10)): a fixed decay would remember the random
    initial weights for 1 / (1 - decay) updates.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
            if not averaged.is_floating_point():  # a counter
                return current
            n = float(count)
            return torch.lerp(current.to(averaged.dtype), averaged, min(decay, n / (n + 10)))

        super().__init__(use_buffers=True, avg_fn=average)


def steps_done(trainer: Trainer) -> int:
    """Count the batches trained on so far, over all runs of this training."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.completed)


def append_metrics(path: Path, row: Validation) -> None:
    """Add a row to metrics.csv, with a head if it is new."""
    values: dict[str, object] = {
        "epoch": row.epoch,
        "step": row.step,
        "train_loss": f"{row.train_loss:.6f}",
        "val_dice": f"{row.score:.6f}",
        **{f"dice_{name}": f"{value:.6f}" for name, value in row.dice.items()},
        "best": int(row.is_best),
        "lr": f"{row.lr:.3e}",
        "seconds": f"{row.seconds:.1f}",
    }
    append_text(path, format_csv([values], head=not path.exists()))


def cut_metrics(path: Path, step: int) -> None:
    """Drop the rows after `step`, and one that was broken off: the resumed run will write them again."""
    kept = [row for row in read_csv(path) if None not in row.values() and int(row["step"]) <= step]
    if kept:
        write_text(path, format_csv(kept))
    else:
        path.unlink(missing_ok=True)
