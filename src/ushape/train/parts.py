"""All that one training is made of; the workflow makes the parts and hands them in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ushape.patches.augment import AugmentConfig
from ushape.patches.sampler import PatchConfig
from ushape.patches.store import Store
from ushape.train.config import TrainConfig
from ushape.train.module import WatchGates
from ushape.train.validation import Validator


@dataclass(frozen=True)
class Parts:
    """The parts of one training.

    Attributes:
        cases: the prepared training cases.
        validator: how whole cases are scored; its store may be empty.
        watch_gates: for the loss on attention gates.
    """

    net: nn.Module
    loss: nn.Module
    cases: Store
    validator: Validator
    patches: PatchConfig
    augment: AugmentConfig
    config: TrainConfig
    watch_gates: WatchGates
