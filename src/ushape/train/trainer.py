"""Put a training together and run it under lightning."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback

from ushape.core.events import Listener
from ushape.core.layout import lay_out
from ushape.train.callbacks import AverageWeights, Record, StopEarly
from ushape.train.checkpoint import AtomicCheckpointIO, KeepBest, Reseed, SaveLast, last_weights
from ushape.train.config import Choices
from ushape.train.data import Resumable, TrainingSteps, training_loader, validation_loader
from ushape.train.flow import RecordFlow
from ushape.train.memory import advise_on_memory
from ushape.train.module import ModuleSettings, SegmentationModule
from ushape.train.parts import Parts
from ushape.train.ranks import leave_together, own_rank
from ushape.train.run_folder import RunFolder
from ushape.train.stop import StopRequest, catch_stop
from ushape.train.track import make_trackers
from ushape.train.validation import WriteModel

PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_CHOSEN_ON_PURPOSE = (
    ".*does not have many workers",
    ".*have no `val_dataloader`",
    ".*in eval mode at the start",  # a frozen encoder
    ".*your dataloader is not resumable",  # it is, by its sampler
    ".*sync_dist=True",  # every process validates all cases
    ".*LeafSpec.*",  # torch to lightning, not to us
)


def run_training(parts: Parts, choices: Choices, run: RunFolder, write: WriteModel, listener: Listener) -> None:
    """Train from the start, or from the run's last checkpoint if there is one.

    The model file is written at each best validation; where there is none to validate on, at the end.

    Raises:
        TrainingError: the loss is not finite, or memory ran out.
        Interrupted: the user stopped it; all is saved.
    """
    with catch_stop(listener) as stop, advise_on_memory(parts.patches), _quiet_lightning():
        trainer = _make_trainer(parts, choices, run, write, stop, listener)
        with leave_together():
            _fit(trainer, parts, choices, run)
    if own_rank() == 0 and not len(parts.validator.cases):
        write(last_weights(run.checkpoint), None)


def _fit(trainer: lightning.Trainer, parts: Parts, choices: Choices, run: RunFolder) -> None:
    seed, ranks = parts.config.seed, parts.config.ranks
    steps = TrainingSteps(parts.cases, parts.patches, seed, rank=own_rank(), ranks=ranks)
    sampler = Resumable(trainer, choices.steps_per_epoch)
    loader = training_loader(steps, sampler, workers=parts.config.workers, pin_memory=choices.device == "cuda")
    held_out = validation_loader(len(parts.validator.cases)) if len(parts.validator.cases) else None
    checkpoint = str(run.checkpoint) if run.checkpoint.exists() else None
    try:
        trainer.fit(
            _make_module(parts, choices, run.evidence), loader, held_out, ckpt_path=checkpoint, weights_only=True
        )
    except SystemExit as error:  # lightning's answer to a second Ctrl-C
        raise KeyboardInterrupt from error


def _make_module(parts: Parts, choices: Choices, evidence: Path) -> SegmentationModule:
    settings = ModuleSettings(
        optim=parts.config.optim,
        augment=parts.augment,
        seed=parts.config.seed,
        updates=choices.epochs * math.ceil(choices.steps_per_epoch / parts.config.accumulate),
        channels_last=choices.channels_last,
        watch_gates=parts.watch_gates,
        evidence=evidence,
    )
    net = lay_out(parts.net, len(parts.patches.size)) if choices.channels_last else parts.net
    return SegmentationModule(net, parts.loss, parts.validator, settings)


def _make_trainer(
    parts: Parts, choices: Choices, run: RunFolder, write: WriteModel, stop: StopRequest, listener: Listener
) -> lightning.Trainer:
    return lightning.Trainer(
        default_root_dir=run.path,
        accelerator="gpu" if choices.device == "cuda" else choices.device,
        devices=parts.config.devices,
        num_nodes=parts.config.nodes,
        strategy=parts.config.strategy if parts.config.ranks > 1 else "auto",
        use_distributed_sampler=False,  # batches are shared out by `TrainingSteps`
        precision=PRECISIONS[choices.precision],  # type: ignore[arg-type]  # lightning wants literals
        max_epochs=choices.epochs,
        gradient_clip_val=parts.config.clip or None,
        accumulate_grad_batches=parts.config.accumulate,
        callbacks=_make_callbacks(parts, choices, run, write, stop, listener),
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        enable_checkpointing=True,
    )


def _make_callbacks(
    parts: Parts, choices: Choices, run: RunFolder, write: WriteModel, stop: StopRequest, listener: Listener
) -> list[Callback]:
    """Their order matters: the best weights are taken while the averaged ones are in the net, saving comes last."""
    config, best = parts.config, KeepBest(write)
    average = [AverageWeights(config.average)] if config.average else []
    trackers = [] if own_rank() else make_trackers(config.loggers, run.path)
    record = Record(run.metrics, best, choices.total_steps, listener, trackers)
    early = [StopEarly(config.patience)] if len(parts.validator.cases) else []
    flow = [RecordFlow(run.gradients, parts.watch_flow)] if parts.watch_flow else []
    return [Reseed(config.seed), best, *average, record, *flow, *early, SaveLast(run, stop, config.save_seconds)]


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep back lightning's tips and its advice on settings that are chosen here on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _CHOSEN_ON_PURPOSE:
            warnings.filterwarnings("ignore", message=message)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
