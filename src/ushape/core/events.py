"""What a running workflow tells its caller; the caller decides how to show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ushape.core.files import append_text


@dataclass(frozen=True)
class Message:
    """A sentence for a person: what was found or chosen. `level` is "info" or "warning"."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Progress:
    """How far a stage has come: files prepared, steps trained, cases predicted.

    Attributes:
        stage: the verb: "prepare", "train", "predict".
        values: numbers worth showing beside the bar, such as the loss.
    """

    stage: str
    done: int
    total: int
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """One validation on whole cases.

    Attributes:
        dice: mean Dice per class name, NaN where no case has the class.
        score: mean foreground Dice, which chooses the best weights.
        is_best: whether these weights are the best so far, and were kept.
    """

    epoch: int
    step: int
    train_loss: float
    dice: Mapping[str, float]
    score: float
    is_best: bool
    lr: float
    seconds: float


Event = Message | Progress | Validation
Listener = Callable[[Event], None]


class Log:
    """Hand events on, and write what they say into a file; what comes before there is a file waits for it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._path: Path | None = None
        self._waiting: list[str] = []

    def __call__(self, event: Event) -> None:
        """Hand an event on; progress is not written down."""
        self._listener(event)
        if not isinstance(event, Progress):
            self._waiting.append(describe(event))
            self._flush()

    def note(self, text: str) -> None:
        """Write a line that the listener is not told."""
        self._waiting.append(text)
        self._flush()

    def open(self, path: Path) -> None:
        """Append to this file from now on."""
        self._path = path
        self._flush()

    def _flush(self) -> None:
        if self._path is not None:
            append_text(self._path, "".join(f"{line}\n" for line in self._waiting))
            self._waiting.clear()


def ignore_events(event: Event) -> None:
    """Listen to nothing."""


STAGES = {"prepare": "preparing", "train": "training", "predict": "predicting"}
"""What a stage is called while it goes on."""


def describe(event: Event) -> str:
    """Say an event in one line.

    >>> describe(Progress("train", 50, 200, {"loss": 0.25}))
    'training 50/200 loss 0.2500'
    """
    if isinstance(event, Message):
        return f"{'warning: ' if event.level == 'warning' else ''}{event.text}"
    if isinstance(event, Progress):
        return (
            f"{STAGES.get(event.stage, event.stage)} {event.done}/{event.total} {format_values(event.values)}".rstrip()
        )
    dice = " ".join(f"{name} {format_number(value)}" for name, value in event.dice.items())
    scores = f" val_dice {format_number(event.score)} ({dice})" if event.dice else ""
    head = f"epoch {event.epoch} step {event.step} loss {format_number(event.train_loss)}"
    return f"{head}{scores}{' best' if event.is_best else ''} {format_duration(event.seconds)}"


def format_values(values: Mapping[str, float]) -> str:
    """Write named numbers one after the other."""
    return " ".join(f"{name} {format_number(value)}" for name, value in values.items())


def count(number: int, noun: str) -> str:
    """Write a number of things.

    >>> count(1, "epoch"), count(3, "mask")
    ('1 epoch', '3 masks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_number(value: float) -> str:
    """Write a number with four digits, "-" if there is none."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def format_duration(seconds: float) -> str:
    """Write a time as minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
