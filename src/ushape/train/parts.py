"""All that one training is made of; the workflow makes the parts and hands them in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from ushape.core.errors import ConfigError
from ushape.patches.augment import AugmentConfig
from ushape.patches.sampler import PatchConfig
from ushape.patches.store import Store
from ushape.train.config import TrainConfig
from ushape.train.flow import WatchFlow
from ushape.train.schedule import Plateau
from ushape.train.step import WatchGates
from ushape.train.validation import Validator


@dataclass(frozen=True)
class Parts:
    """The parts of one training.

    Attributes:
        cases: the prepared training cases.
        validator: how whole cases are scored; its store may be empty.
        watch_gates: for the loss on attention gates.
        watch_flow: looks at gradients, if they are to be recorded.
    Raises:
        ConfigError: the schedule follows validation, and there is none; or the batch is none that devices can share.
    """

    net: nn.Module
    loss: nn.Module
    cases: Store
    validator: Validator
    patches: PatchConfig
    augment: AugmentConfig
    config: TrainConfig
    watch_gates: WatchGates
    watch_flow: WatchFlow | None = None

    def __post_init__(self) -> None:
        """Refuse a schedule that waits for validations where there are none, and a batch that cannot be shared."""
        if isinstance(self.config.optim.schedule, Plateau) and not len(self.validator.cases):
            raise ConfigError(
                "train.optim.schedule: plateau follows validation, but no case with foreground is held out; "
                "take another schedule (--set train.optim.schedule=cosine), or give more cases"
            )
        ranks = self.config.ranks
        if self.patches.batch % ranks:
            raise ConfigError(
                f"--devices {self.config.devices}: expected a batch that {ranks} processes can share, got "
                f"{self.patches.batch} patches; give --batch {ranks * math.ceil(self.patches.batch / ranks)}"
            )
