"""What a run left behind, as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

FEW = 4
"""Validations from which on a curve has a shape."""
SHORTEST = 20
"""Steps of an epoch; in fewer, too little is learnt for a validation of its own."""


@dataclass(frozen=True, eq=False)
class History:
    """The curves of a run, and how it ended.

    Attributes:
        loss: mean training loss of every epoch.
        dice: mean foreground Dice of every validation; NaN where there was none.
        classes: the same per class.
        is_finished: whether its report was written.
        has_failed: whether it kept the batch that it failed with.
        steps: how many steps the whole training took; 0 where it is not known.
        resume: the command that goes on with it; "" if there is nothing to go on from.
    """

    loss: Float[ndarray, " n"]
    dice: Float[ndarray, " n"]
    classes: Mapping[str, Float[ndarray, " n"]] = field(default_factory=dict)
    is_finished: bool = True
    has_failed: bool = False
    steps: int = 0
    resume: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.loss)

    @property
    def finer(self) -> int:
        """How many steps an epoch should have had for a curve with a shape; 0 where there were too few for it."""
        steps = self.steps // (2 * FEW)
        return steps if steps >= SHORTEST else 0

    @property
    def has_shape(self) -> bool:
        """Whether enough was validated to judge the curve."""
        return self.epochs >= FEW and bool(np.isfinite(self.dice).all())

    @property
    def jump(self) -> float:
        """By how much validation usually changes from one epoch to the next, in the second half."""
        return float(np.median(np.abs(np.diff(self.dice[self.epochs // 2 :]))))


def read_history(rows: Sequence[Mapping[str, str]]) -> History:
    """Read the rows of metrics.csv; what is not a number becomes NaN.

    >>> read_history([{"train_loss": "0.5", "val_dice": "nan", "dice_cell": ""}]).loss.tolist()
    [0.5]
    """
    names = [name.removeprefix("dice_") for name in (rows[0] if rows else {}) if name.startswith("dice_")]
    classes = {name: _column(rows, f"dice_{name}") for name in names}
    steps = np.nan_to_num(_column(rows, "step"))
    return History(_column(rows, "train_loss"), _column(rows, "val_dice"), classes, steps=int(steps.max(initial=0)))


def smooth(curve: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Take the median of each value and its neighbours; the ends have one neighbour less.

    >>> smooth(np.array([1.0, 9.0, 2.0])).tolist()
    [5.0, 2.0, 5.5]
    """
    return np.array([np.median(curve[max(i - 1, 0) : i + 2]) for i in range(len(curve))])


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Float[ndarray, " n"]:
    return np.array([_number(row.get(name) or "nan") for row in rows], dtype=float)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
