"""How long, how precisely and how carefully a net is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ushape.core.config import Config
from ushape.train.optim import OptimConfig

Positive = Annotated[int, Field(ge=1)]


class TrainConfig(Config):
    """The settings of one training.

    Attributes:
        minutes: wall-clock budget of the whole command, from which the number of steps follows by measurement; "none"
            leaves it to `epochs`.
        epochs: number of epochs where there is no budget.
        steps_per_epoch: training steps between two validations; "auto" is one patch per training case, at least 50,
            and under a budget so many that validation takes at most a fifth of the time.
        save_seconds: time between two checkpoints within an epoch; there is one after each epoch anyway.
        patience: validations without a better score after which training stops early.
        clip: largest norm of the gradient; 0 does not clip.
        accumulate: steps whose gradients are summed before the weights change.
        average: decay of the moving average of the weights, per step; 0 keeps no average.
        precision: of convolutions; "auto" measures which is fastest.
        layout: of tensors in memory; "auto" measures which is fastest.
        device: "auto" takes a GPU if torch sees one.
        devices: processes that share each batch, one per GPU, or on one CPU; `patches.batch` counts for all together.
        nodes: machines that do so, each with so many devices; torchrun or SLURM starts their processes.
        strategy: "ddp" keeps the whole net on every device, "fsdp" a part of it; the latter is for GPUs.
        workers: processes that cut patches ahead; 0 cuts them in the training process.
        threads: CPU threads; 0 takes every core the process may use.
        loggers: what keeps the curves beside metrics.csv: "tensorboard", "mlflow", in folders of the run.
        start: a model file or run folder whose weights the training starts from, or "none".
        probe_gradients: write down what reaches each layer in the first step and at the end of each epoch.
        teacher: a model file or run folder whose predictions are learnt beside the labels, or "none".
    """

    minutes: Annotated[float, Field(gt=0)] | Literal["none"] = 5.0
    epochs: Positive = 40
    steps_per_epoch: Positive | Literal["auto"] = "auto"
    save_seconds: Annotated[float, Field(ge=0)] = 120.0
    patience: Positive = 10
    clip: Annotated[float, Field(ge=0)] = 1.0
    accumulate: Positive = 1
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    layout: Literal["auto", "contiguous", "channels_last"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Positive = 1
    nodes: Positive = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    loggers: tuple[Literal["tensorboard", "mlflow"], ...] = ()
    start: str = "none"
    teacher: str = "none"
    probe_gradients: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    optim: OptimConfig = OptimConfig()

    @property
    def ranks(self) -> int:
        """The number of processes, on all machines together."""
        return self.devices * self.nodes

    @model_validator(mode="after")
    def _sharded_nets_are_plain(self) -> TrainConfig:
        optim = self.optim
        instead: dict[str, object] = {"average": 0} if self.average else {}
        instead |= {"optim.weight_decay": 0} if optim.weight_decay else {}
        instead |= {"optim.optimizer": "adamw"} if optim.optimizer == "muon" else {}
        if self.strategy == "fsdp" and instead:
            named = " ".join(f"--set train.{name}={value}" for name, value in instead.items())
            raise ValueError(f"strategy 'fsdp' has no whole weights at hand for {', '.join(instead)}; set {named}")
        return self


class Choices(Config):
    """What was measured and decided before the first step; a resumed run reads it and measures nothing.

    Attributes:
        seconds_per_step: measured, or 0 where the number of epochs was given.
        recipe: digest of the recipe that they belong to.
    """

    device: str
    precision: Literal["float32", "bf16", "fp16"]
    channels_last: bool
    steps_per_epoch: Positive
    epochs: Positive
    seconds_per_step: float = 0.0
    seconds_per_validation: float = 0.0
    recipe: str = ""

    @property
    def total_steps(self) -> int:
        """The number of training steps if nothing stops early."""
        return self.steps_per_epoch * self.epochs
