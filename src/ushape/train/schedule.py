"""Learning-rate schedules: functions of the update, and one that follows validation.

A schedule gives a factor on the recipe's `lr`, which is the highest rate. Updates are counted behind the warm-up.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Protocol

from pydantic import Field

from ushape.core.config import Config

Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Schedule(Protocol):
    """What every schedule can do."""

    def factor(self, update: int, updates: int) -> float:
        """Return the factor at an update, of so many."""
        ...


class Fixed(Config):
    """One rate to the end."""

    name: Literal["fixed"] = "fixed"

    def factor(self, update: int, updates: int) -> float:
        """Return 1."""
        return 1.0


class StepDown(Config):
    """The rate falls in steps.

    Attributes:
        every: share of the training after which it falls; 0.3 of 100 epochs is every 30.
        drop: by which it is multiplied then.
    """

    name: Literal["step"] = "step"
    every: Annotated[float, Field(gt=0, le=1)] = 0.3
    drop: Fraction = 0.1

    def factor(self, update: int, updates: int) -> float:
        """Multiply once for every step that is over.

        >>> [round(StepDown().factor(update, 100), 4) for update in (29, 30, 60)]
        [1.0, 0.1, 0.01]
        """
        return self.drop ** (update // max(round(self.every * updates), 1))


class Cosine(Config):
    """Half a wave of the cosine, from 1 to 0.

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983, eq. 5 without restarts.
    """

    name: Literal["cosine"] = "cosine"

    def factor(self, update: int, updates: int) -> float:
        """Follow the cosine."""
        return 0.5 * (1 + math.cos(math.pi * _done(update, updates)))


class Poly(Config):
    """A power of what is left of the training; 0.9 is nnU-Net's.

    Attributes:
        power: 1 is a straight line.
    """

    name: Literal["poly"] = "poly"
    power: Annotated[float, Field(gt=0)] = 0.9

    def factor(self, update: int, updates: int) -> float:
        """Raise the share that is left to the power."""
        return float((1 - _done(update, updates)) ** self.power)


class Cyclic(Config):
    """Triangles between a lowest and the highest rate, each half as high as the one before ("triangular2").

    Momentum is left alone: cycling it would change Adam's first beta.

    Attributes:
        low: lowest rate, as a share of the highest.
        half_cycle: updates from the lowest to the highest.

    Source: Smith 2015, arXiv:1506.01186, as torch's CyclicLR has it.
    """

    name: Literal["cyclic"] = "cyclic"
    low: Share = 0.1
    half_cycle: Positive = 200

    def factor(self, update: int, updates: int) -> float:
        """Go up and down.

        >>> [round(Cyclic().factor(update, 1000), 3) for update in (0, 100, 200, 400, 600)]
        [0.1, 0.55, 1.0, 0.1, 0.55]
        """
        cycle, place = divmod(update / self.half_cycle, 2)
        return self.low + (1 - self.low) * (1 - abs(place - 1)) / 2**cycle


class OneCycle(Config):
    """Up along a cosine, then down along another, far below the start. It is its own warm-up.

    Attributes:
        rise: share of the training that goes up.
        start: first rate, as a share of the highest.
        end: last rate, as a share of the first.

    Source: Smith and Topin 2017, arXiv:1708.07120, with the defaults of torch's OneCycleLR; momentum is left alone.
    """

    name: Literal["one_cycle"] = "one_cycle"
    rise: Fraction = 0.3
    start: Share = 0.04
    end: Share = 1e-4

    def factor(self, update: int, updates: int) -> float:
        """Follow the two cosines; the last update has the lowest rate."""
        last = max(updates - 1, 1)
        top = max(self.rise * updates - 1, 1e-9)
        if update <= top:
            return _between(self.start, 1.0, update / top)
        return _between(1.0, self.start * self.end, min((update - top) / max(last - top, 1e-9), 1.0))


class Plateau(Config):
    """The rate falls whenever validation has not been better for long.

    Attributes:
        on: "dice" watches the mean foreground Dice; "loss" the loss on the validation cases, predicted whole.
        drop: by which the rate is multiplied then.
        patience: validations without a better one that are waited for; at one more the rate falls.
    """

    name: Literal["plateau"] = "plateau"
    on: Literal["dice", "loss"] = "dice"
    drop: Fraction = 0.1
    patience: Annotated[int, Field(ge=0)] = 5

    def factor(self, update: int, updates: int) -> float:
        """Return 1: what `PlateauWatch` has seen comes on top."""
        return 1.0


AnySchedule = Annotated[
    Fixed | StepDown | Cosine | Poly | Cyclic | OneCycle | Plateau,
    Field(discriminator="name"),
]

SMALLEST_GAIN = 1e-4
"""A result must be better than the best by this share of it."""


class PlateauWatch:
    """Remember the best result, how long ago it was, and the factor that follows for the rate.

    Source: torch's ReduceLROnPlateau, of which it has the numbers. Differs: what is not a number is no gain.

    >>> watch = PlateauWatch(Plateau(drop=0.5, patience=1))
    >>> for dice in (0.7, 0.8, 0.8, 0.8):
    ...     watch.see(dice)
    >>> watch.factor
    0.5
    """

    def __init__(self, config: Plateau) -> None:
        self.config = config
        self.best, self.waited, self.factor = -math.inf, 0, 1.0

    def see(self, result: float) -> None:
        """Take in the result of a validation: a Dice, or a loss."""
        gain = result if self.config.on == "dice" else -result
        if gain > self.best + SMALLEST_GAIN * abs(self.best) or self.best == -math.inf < gain:
            self.best, self.waited = gain, 0
        else:
            self.waited += 1
        if self.waited > self.config.patience:
            self.factor, self.waited = self.factor * self.config.drop, 0

    def state(self) -> dict[str, float]:
        """Return all that a resumed run must know."""
        return {"best": self.best, "waited": self.waited, "factor": self.factor}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a state."""
        self.best, self.waited, self.factor = state["best"], int(state["waited"]), state["factor"]


def _done(update: int, updates: int) -> float:
    return min(update / max(updates, 1), 1.0)


def _between(first: float, last: float, done: float) -> float:
    """Go from one value to another along half a wave of the cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
