"""Real cases to calibrate on, and others to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from ushape.core.case import Case
from ushape.core.errors import DataError
from ushape.core.events import Listener, Message, Progress
from ushape.io.layouts import find_dataset
from ushape.io.splits import split_cases
from ushape.measure.table import mean_foreground_dice
from ushape.plan.recipe import Recipe
from ushape.predict.engines import Engine
from ushape.predict.windows import predict_windows
from ushape.prep.pipeline import Pipeline
from ushape.workflows.scoring import predict_prepared, score_prediction
from ushape.workflows.stock import load_pair

CALIBRATING, SCORING, WINDOWS = 16, 32, 64
"""How many cases calibrate and how many score at most, and how many windows of the former are taken."""


@dataclass(frozen=True)
class Trials:
    """Prepared cases of a data set.

    Attributes:
        calibrating: cases that a training on this data would train on.
        scoring: cases that it would hold out.
    """

    recipe: Recipe
    calibrating: tuple[Case, ...]
    scoring: tuple[Case, ...]

    def score(self, engine: Engine) -> float:
        """Return the mean foreground Dice of the scoring cases, predicted and measured as in validation."""
        labels = self.recipe.data.labels
        predicted = [(predict_prepared(case, engine, self.recipe), case) for case in self.scoring]
        return mean_foreground_dice([score_prediction(prediction, case, labels) for prediction, case in predicted])

    def windows(self, engine: Engine) -> list[ndarray]:
        """Return windows of the calibrating cases, cut as for an engine, one by one."""
        recorder = Recorder(engine)
        for case in self.calibrating:
            predict_windows(case.image, recorder, self.recipe.predict.window)
        chosen = np.random.default_rng(0).permutation(len(recorder.windows))[:WINDOWS]
        return [recorder.windows[index] for index in sorted(chosen)]


class Recorder:
    """Stand in for an engine: keep the windows, and say that all is background."""

    def __init__(self, engine: Engine) -> None:
        self.classes, self.margin, self.window = engine.classes, engine.margin, engine.window
        self.windows: list[ndarray] = []

    def __call__(self, windows: ndarray) -> ndarray:
        """Keep a batch of windows."""
        self.windows += [each[None].copy() for each in windows]
        margin = self.margin or (0,) * (windows.ndim - 2)
        inner = [size - 2 * lost for size, lost in zip(windows.shape[2:], margin, strict=True)]
        return np.zeros((len(windows), self.classes, *inner), dtype=np.float32)


def load_trials(data: Path, recipe: Recipe, listener: Listener) -> Trials:
    """Read and prepare some cases of a data set; they are split as a training on it would be.

    Raises:
        DataError: there is no data set, or its images or masks do not fit the model.
    """
    found = find_dataset(data)
    pairs, groups = {pair.name: pair for pair in found.pairs}, recipe.data.groups or found.groups
    share, seed = recipe.data.validation, recipe.train.seed
    training, held_out = split_cases(list(pairs), share, seed, groups=groups, listed=found.splits)
    if not held_out:
        listener(Message(f"{data}: too few cases to hold some out; the Dice is of those that calibrated", "warning"))
    chosen = [_spread(training, CALIBRATING), _spread(held_out, SCORING) or _spread(training, SCORING)]
    pipeline, cases, total = Pipeline(recipe.prep), [], sum(map(len, chosen))
    for name in [*chosen[0], *chosen[1]]:
        case = load_pair(pairs[name], recipe, listener)
        if len(case.space) != recipe.net.ndim:
            raise DataError(
                f"{pairs[name].image}: expected images of {recipe.net.ndim} axes, as the model was trained on, got "
                f"{len(case.space)}; give images like those of its training"
            )
        cases.append(pipeline.forward(case)[0])
        listener(Progress("prepare", len(cases), total))
    split = len(chosen[0])
    return Trials(recipe, tuple(cases[:split]), tuple(cases[split:]))


def _spread(names: list[str], most: int) -> list[str]:
    """Take at most so many of the names, evenly spaced."""
    return [names[index * len(names) // most] for index in range(most)] if len(names) > most else list(names)
