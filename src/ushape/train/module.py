"""The lightning module: one training step, and validation on whole cases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.strategies import FSDPStrategy
from safetensors.torch import save
from torch import Tensor, nn

from ushape.core.errors import TrainingError
from ushape.core.files import atomic_path
from ushape.core.layout import memory_format
from ushape.patches.augment import AugmentConfig, augment
from ushape.train.optim import OptimConfig, lr_factor, make_optimizer
from ushape.train.schedule import Plateau, PlateauWatch
from ushape.train.step import WatchGates, compute_loss
from ushape.train.validation import ValidationScores, Validator


@dataclass(frozen=True)
class ModuleSettings:
    """What a training step needs to know beside its batch.

    Attributes:
        updates: how often the weights change in the whole training; the schedule is spread over them.
        watch_gates: for the loss on attention gates.
        evidence: where a batch is kept whose loss is not finite.
    """

    optim: OptimConfig
    augment: AugmentConfig
    seed: int
    updates: int
    channels_last: bool
    watch_gates: WatchGates
    evidence: Path


class SegmentationModule(lightning.LightningModule):
    """A net, a loss and a validator under lightning's loop.

    Weight averaging copies the whole module, so it must hold no case data: a validator knows where cases lie, not them.
    """

    def __init__(self, net: nn.Module, loss: nn.Module, validator: Validator, settings: ModuleSettings) -> None:
        super().__init__()
        self.net, self.loss = net, loss
        self.settings = settings
        self.validator = validator
        schedule = settings.optim.schedule
        self.plateau = PlateauWatch(schedule) if isinstance(schedule, Plateau) else None
        self._scores: list[Any] = []
        self._losses: list[float] = []

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment on the training device."""
        if not isinstance(batch, dict):
            return batch
        seed = (self.settings.seed, 3, int(batch["step"]), self.global_rank)
        image, label = augment(batch["image"], batch["label"], self.settings.augment, seed)
        return {
            "image": image.contiguous(memory_format=memory_format(image, self.settings.channels_last)),
            "label": label,
        }

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate of this update: a function of its number, and of what validation has shown."""
        optim = self.settings.optim
        rate = optim.rate * lr_factor(self.trainer.global_step, self.settings.updates, optim)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * (self.plateau.factor if self.plateau else 1.0)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch.

        Raises:
            TrainingError: the loss is not finite.
        """
        loss = compute_loss(self.net, self.loss, self.settings.watch_gates, batch)
        value = float(self.trainer.strategy.reduce(loss.detach(), reduce_op="mean"))  # of all processes
        if not math.isfinite(value):
            place = self.settings.evidence
            if self.trainer.is_global_zero:
                keep_batch(place, batch)
            raise TrainingError(
                f"step {self.global_step}: the loss is {value}; lower the rate (--lr), or check the images for "
                f"extreme values with: ushape data check; the batch is kept in {place}"
            )
        self._losses.append(value)
        return loss

    def on_train_epoch_start(self) -> None:
        """Forget the losses of the last epoch."""
        self._losses.clear()

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the last validation."""
        self._scores.clear()

    @property
    def epoch_loss(self) -> float:
        """The mean loss of the epoch's steps so far; NaN before the first."""
        return sum(self._losses) / len(self._losses) if self._losses else math.nan

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Score one whole case."""
        self._scores.append(self.validator.score(self.net, self.validator.cases[int(batch)].as_case()))

    def summarise_validation(self) -> ValidationScores:
        """Bring the scores of this validation together."""
        return self.validator.summarise(self._scores)

    def on_validation_epoch_end(self) -> None:
        """Hand the score to early stopping, and to a schedule that follows it."""
        scores = self.summarise_validation()
        self.log("val_dice", scores.mean, batch_size=1)
        if self.plateau:
            self.plateau.see(scores.mean if self.plateau.config.on == "dice" else scores.loss)

    def configure_optimizers(self) -> Any:
        """Build the optimiser; its rate is set before each step."""
        return make_optimizer(self.net.parameters(), self.settings.optim)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm of the whole gradient; of a sharded net, the one over all its parts."""
        whole: Any = self.trainer.strategy.model
        if gradient_clip_val and isinstance(self.trainer.strategy, FSDPStrategy):
            whole.clip_grad_norm_(gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the losses of an epoch that is not over, and what the schedule has seen."""
        checkpoint["epoch_losses"] = list(self._losses)
        checkpoint["plateau"] = self.plateau.state() if self.plateau else {}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the losses of the epoch so far, and what the schedule has seen."""
        self._losses = checkpoint["epoch_losses"]
        if self.plateau:
            self.plateau.restore(checkpoint["plateau"])


def keep_batch(path: Path, batch: Mapping[str, Tensor]) -> None:
    """Write a batch as safetensors, for inspection: `image` (b, channels, *space), augmented, and `label`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in batch.items()}))
