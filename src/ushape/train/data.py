"""The batches of a training, numbered by step, so that a resumed run sees those it would have seen."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ushape.patches.sampler import PatchConfig, cut_step, draw_step
from ushape.patches.store import Store


class TrainingSteps(Dataset[dict[str, Any]]):
    """Every item is the batch of one step, a pure function of the seed and the step.

    Of several processes each takes its own part of what is drawn for all.
    """

    def __init__(self, store: Store, config: PatchConfig, seed: int, *, rank: int = 0, ranks: int = 1) -> None:
        self.store, self.config, self.seed = store, config, seed
        share = config.batch // ranks
        self.part = slice(rank * share, (rank + 1) * share)

    def __getitem__(self, step: int) -> dict[str, Any]:
        draws = draw_step(self.seed, step, self.store.contents, self.config)
        images, labels = cut_step(self.store, draws[self.part], self.config)
        return {"image": torch.from_numpy(images), "label": torch.from_numpy(labels), "step": step}


class Resumable(Sampler[int]):
    """Count the steps of one epoch, going on from where the trainer's own counter stands."""

    def __init__(self, trainer: lightning.Trainer, steps_per_epoch: int) -> None:
        self.trainer, self.steps_per_epoch = trainer, steps_per_epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        done = self.trainer.fit_loop.epoch_loop.batch_progress.total.ready
        end = (done // self.steps_per_epoch + 1) * self.steps_per_epoch
        return iter(range(done, end))


class CaseNumbers(Dataset[int]):
    """The positions of the validation cases; the cases themselves stay with the module."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> int:
        if position >= self.count:
            raise IndexError(position)
        return position


def training_loader(
    steps: TrainingSteps, sampler: Resumable, *, workers: int, pin_memory: bool
) -> DataLoader[dict[str, Tensor]]:
    """Load training batches, in this process or ahead of it in `workers` others."""
    return DataLoader(
        steps,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=ignore_interrupt if workers else None,
    )


def ignore_interrupt(_worker: int) -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the training process: it ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def validation_loader(count: int) -> DataLoader[int]:
    """Load the numbers of the validation cases."""
    return DataLoader(CaseNumbers(count), batch_size=None)
