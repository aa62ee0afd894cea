"""What makes a training resumable, and keeps its best weights.

Saving follows what was tried on lightning: a checkpoint at the end of an epoch holds its validation; one inside an
epoch is never taken on its last batch, or a resumed run would skip that validation.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor

from ushape.core.errors import DataError, Interrupted
from ushape.core.files import atomic_path, sync_to_disk
from ushape.train.module import SegmentationModule
from ushape.train.run_folder import RunFolder
from ushape.train.stop import StopRequest
from ushape.train.validation import ValidationScores, WriteModel


class Reseed(Callback):
    """Seed torch before each step, so that dropout does not depend on when the run was resumed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed with the seed of the run and the number of the step."""
        step = trainer.fit_loop.epoch_loop.total_batch_idx
        torch.manual_seed(int(np.random.SeedSequence((self.seed, 4, step)).generate_state(1)[0]))


class KeepBest(Callback):
    """Write the model file whenever validation is better than ever.

    It must stand before weight averaging in the list of callbacks: then it sees the averaged weights.
    """

    def __init__(self, write: WriteModel) -> None:
        self.write = write
        self.best = -1.0
        self.scores: ValidationScores | None = None
        self.is_best = False

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with the best so far."""
        if trainer.sanity_checking or not isinstance(pl_module, SegmentationModule):
            return
        self.scores = pl_module.summarise_validation()
        state = trainer.strategy.lightning_module_state_dict()  # of a sharded net, gathered by all processes
        self.is_best = self.scores.mean > self.best or self.best < 0
        if self.is_best:
            self.best = self.scores.mean if np.isfinite(self.scores.mean) else -1.0
            if trainer.is_global_zero:
                self.write(net_weights(state), self.scores)

    def state_dict(self) -> dict[str, Any]:
        """Remember the best score."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best score."""
        self.best = state_dict["best"]


class SaveLast(Checkpoint):
    """Save the whole training every so often and after each epoch, and end it there when the user asked to stop."""

    def __init__(self, run: RunFolder, stop: StopRequest, every_seconds: float) -> None:
        self.run, self.stop, self.every_seconds = run, stop, every_seconds
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time to, but not on the last batch of an epoch."""
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        due = self.stop.made or time.monotonic() - self._saved_at >= self.every_seconds
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # processes save together, whichever is asked
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save with the validation of this epoch."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.run.checkpoint)
        self._saved_at = time.monotonic()
        if trainer.strategy.reduce_boolean_decision(self.stop.made, all=False):
            raise Interrupted(f"stopped, all is saved; go on with: {self.run.resume_command}")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints beside their target, wait for the disk, then rename."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, whole or not at all."""
        with atomic_path(Path(path)) as temporary:
            try:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's writer hides what the disk said
                raise OSError(str(error.__context__ or error)) from error
            sync_to_disk(temporary)

    def load_checkpoint(
        self, path: Any, map_location: Any = lambda storage, _: storage, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            DataError: it is damaged.
        """
        return read_checkpoint(Path(path), map_location)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint by torch's restricted loader.

    Raises:
        DataError: it is damaged.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: expected a checkpoint, got a damaged file; start a new run") from error
    return checkpoint


def last_weights(path: Path) -> dict[str, Tensor]:
    """Return the net's weights out of a checkpoint: the averaged ones, if an average was kept."""
    return net_weights(read_checkpoint(path)["state_dict"])


def net_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the net's weights out of those of the whole module."""
    return {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
