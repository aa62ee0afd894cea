"""Optimisers, and the learning rate at each update."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from torch import nn, optim

from ushape.core.config import Config, choose
from ushape.train.muon import Muon
from ushape.train.schedule import AnySchedule, Cosine

RATES = {"muon": 1e-2, "adamw": 2e-3, "adam": 2e-3, "sgd": 1e-2}
"""Highest learning rates for nets that start from nothing; that of sgd is nnU-Net's."""


class OptimConfig(Config):
    """How weights are changed.

    Attributes:
        optimizer: "muon" makes the momentum of each convolution orthogonal, see `Muon`.
        lr: the highest learning rate of the schedule; "auto" is what suits the optimiser, see `RATES`.
        weight_decay: on convolution weights only, not on biases and norms.
        momentum: of sgd.
        nesterov: whether sgd looks ahead along its momentum.
        warmup: share of all updates over which the rate rises linearly to where the schedule begins.
        schedule: what the rate does after the warm-up; a name takes the defaults.

    >>> OptimConfig.model_validate({"schedule": "poly"}).schedule
    Poly(name='poly', power=0.9)
    """

    optimizer: Literal["muon", "adamw", "adam", "sgd"] = "muon"
    lr: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    nesterov: bool = True
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    schedule: AnySchedule = Cosine()

    @property
    def rate(self) -> float:
        """The highest learning rate, as a number.

        >>> OptimConfig(optimizer="adamw").rate, OptimConfig(lr=0.5).rate
        (0.002, 0.5)
        """
        return RATES[self.optimizer] if self.lr == "auto" else self.lr

    @field_validator("schedule", mode="before")
    @classmethod
    def _name_is_enough(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> OptimConfig:
        if self.optimizer == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0; set nesterov to false")
        return self


def _sgd(groups: Any, config: OptimConfig) -> optim.Optimizer:
    return optim.SGD(groups, lr=config.rate, momentum=config.momentum, nesterov=config.nesterov)


OPTIMIZERS: dict[str, Callable[[Any, OptimConfig], optim.Optimizer]] = {
    "muon": lambda groups, config: Muon(groups, lr=config.rate),
    "adamw": lambda groups, config: optim.AdamW(groups, lr=config.rate),
    "adam": lambda groups, config: optim.Adam(groups, lr=config.rate),
    "sgd": _sgd,
}


def make_optimizer(parameters: Iterable[nn.Parameter], config: OptimConfig) -> optim.Optimizer:
    """Build the optimiser; vectors (biases, norm weights) are not decayed."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return choose(config.optimizer, OPTIMIZERS, "optimizer")(groups, config)


def lr_factor(step: int, total: int, config: OptimConfig) -> float:
    """Give the factor on the learning rate at an update: up during warm-up, then the schedule, never above 1.

    >>> [round(lr_factor(step, 10, OptimConfig(warmup=0.2)), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    warm = round(config.warmup * total)
    if step < warm:
        return (step + 1) / warm * config.schedule.factor(0, total - warm)
    return config.schedule.factor(step - warm, total - warm)
