"""What training must know of validation: who scores a case, and what comes out. Handed in by the workflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ushape.core.case import Case
from ushape.patches.store import Store


@dataclass(frozen=True)
class ValidationScores:
    """What validation on all cases gave.

    Attributes:
        dice: mean Dice per class name; NaN where no case has the class.
        mean: mean foreground Dice, by which the best weights are chosen.
        loss: mean loss of the cases; NaN where no schedule follows it.
    """

    dice: Mapping[str, float]
    mean: float
    loss: float = math.nan


Score = Callable[[nn.Module, Case], Any]
"""Predict a case with a net and measure it."""
Summarise = Callable[[list[Any]], ValidationScores]
"""Bring the scores of all cases together."""
WriteModel = Callable[[Mapping[str, Tensor], ValidationScores | None], None]
"""Write weights as a model file."""


@dataclass(frozen=True)
class Validator:
    """How validation is done: handed in, since prediction and measures live in other rooms."""

    cases: Store
    score: Score
    summarise: Summarise
