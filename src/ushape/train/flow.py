"""Look at the gradients of a running training, and write down what reaches each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim import Optimizer

from ushape.core.files import append_text, format_csv
from ushape.train.callbacks import cut_metrics, steps_done

ReadFlow = Callable[[], Sequence[Mapping[str, object]]]
"""Read the gradients that lie in a net: a row of numbers for each layer."""
WatchFlow = Callable[[nn.Module], AbstractContextManager[ReadFlow]]
"""Watch a net while it runs forward and back within the block. Handed in: what a layer is, the net knows."""


class RecordFlow(Callback):
    """Look at the first step and at the last of each epoch: at gradients before clipping, and weights before they move.

    Nothing is computed for it but norms; the training stays the same, bit by bit.
    """

    def __init__(self, path: Path, watch: WatchFlow) -> None:
        self.path, self.watch = path, watch
        self._watched = ExitStack()
        self._read: ReadFlow | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut rows that come after the step from which a run goes on."""
        if trainer.is_global_zero:
            cut_metrics(self.path, steps_done(trainer))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Watch the first batch, and the last of an epoch."""
        is_due = trainer.global_step == 0 or batch_idx + 1 == trainer.num_training_batches
        if is_due and self._read is None and trainer.is_global_zero:
            self._read = self._watched.enter_context(self.watch(pl_module.net))  # type: ignore[arg-type]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Write down the gradients of the batch that was watched."""
        if self._read:
            head = {"epoch": trainer.current_epoch + 1, "step": steps_done(trainer) + 1}
            rows = [{**head, **row} for row in self._read()]
            append_text(self.path, format_csv(rows, head=not self.path.exists()))
            self._stop_watching()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the net as it was."""
        self._stop_watching()

    def _stop_watching(self) -> None:
        self._read = None
        self._watched.close()
