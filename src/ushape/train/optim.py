"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import Field
from torch import nn, optim

from ushape.core.config import Config, choose

Schedule = Callable[[float], float]
"""From the share of training that is done, in [0, 1], to a factor on the learning rate."""


class OptimConfig(Config):
    """How weights are changed.

    Attributes:
        lr: the highest learning rate of the schedule.
        weight_decay: on convolution weights only, not on biases and norms.
        warmup: share of all steps over which the rate rises linearly from zero.
        schedule: what the rate does after the warm-up.
    """

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    schedule: Literal["cosine", "poly", "fixed"] = "cosine"


OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adamw": optim.AdamW,
    "adam": optim.Adam,
    "sgd": lambda groups, lr: optim.SGD(groups, lr=lr, momentum=0.99, nesterov=True),
}
SCHEDULES: dict[str, Schedule] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "poly": lambda done: (1 - done) ** 0.9,
    "fixed": lambda _: 1.0,
}


def make_optimizer(parameters: Iterable[nn.Parameter], config: OptimConfig) -> optim.Optimizer:
    """Build the optimiser; vectors (biases, norm weights) are not decayed."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return choose(config.optimizer, OPTIMIZERS, "optimizer")(groups, lr=config.lr)


def lr_factor(step: int, total: int, config: OptimConfig) -> float:
    """Give the factor on the learning rate at a step: up during warm-up, then the schedule, never above 1.

    >>> [round(lr_factor(step, 10, OptimConfig(warmup=0.2)), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    warm = round(config.warmup * total)
    if step < warm:
        return (step + 1) / warm
    return choose(config.schedule, SCHEDULES, "schedule")(min((step - warm) / max(total - warm, 1), 1.0))
