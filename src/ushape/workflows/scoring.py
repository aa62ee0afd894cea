"""How whole, prepared cases are predicted and measured: the same while training and after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy import ndarray
from torch import nn

from ushape.core.case import Case, Prediction
from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.losses.cases import loss_of_case
from ushape.measure.table import CaseScores, class_means, mean_foreground_dice, score_case
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe
from ushape.predict.engines import Engine
from ushape.predict.postprocess import apply_rules
from ushape.predict.predictor import decide, decide_prepared
from ushape.predict.windows import predict_windows
from ushape.train.schedule import Plateau
from ushape.train.validation import ValidationScores, Validator
from ushape.workflows.engine import make_engine


def keep_scorable(held_out: Store) -> Store:
    """Return the cases to validate on: none of them if none has foreground, for then no score says anything."""
    has_foreground = any(held_out[number].locations for number in range(len(held_out)))
    return held_out if has_foreground else held_out.subset([])


@dataclass(frozen=True)
class Judged:
    """What validation finds out about one case; its loss is NaN where no schedule follows it."""

    scores: CaseScores
    loss: float


def make_validator(recipe: Recipe, cases: Store) -> Validator:
    """Say how training scores whole, prepared cases: predicted and measured as everywhere else."""
    labels, schedule = recipe.data.labels, recipe.train.optim.schedule
    follows_loss = isinstance(schedule, Plateau) and schedule.on == "loss"

    def score(net: nn.Module, case: Case) -> Judged:
        engine = make_engine(net, recipe, next(net.parameters()).device.type)
        probabilities = predict_windows(case.image, engine, recipe.predict.window)
        loss = loss_of_case(probabilities, need_label(case), recipe.loss, recipe.head) if follows_loss else math.nan
        return Judged(score_prediction(_decide(case, probabilities, recipe), case, labels), loss)

    def summarise(judged: Sequence[Judged]) -> ValidationScores:
        scores = [each.scores for each in judged]
        dice = class_means(scores, "dice")
        loss = sum(each.loss for each in judged) / max(len(judged), 1)
        return ValidationScores({name: dice[name] for name in labels.names[1:]}, mean_foreground_dice(scores), loss)

    return Validator(cases, score, summarise)


def predict_prepared(case: Case, engine: Engine, recipe: Recipe) -> Prediction:
    """Predict a case that is prepared already, on the prepared grid."""
    label = decide_prepared(case.image, engine, recipe.predict)
    return Prediction(case.name, apply_rules(label, recipe.predict.postprocess, case.geometry), case.geometry)


def _decide(case: Case, probabilities: ndarray, recipe: Recipe) -> Prediction:
    return Prediction(case.name, decide(probabilities, recipe.predict.threshold), case.geometry)


def score_prediction(prediction: Prediction, case: Case, labels: Labels) -> CaseScores:
    """Measure the overlap of a prediction with its case's label.

    Raises:
        DataError: the case has no label.
    """
    geometry = case.geometry
    return score_case(
        prediction.label,
        need_label(case),
        classes=labels.scored,
        spacing=geometry.spacing,
        unit=geometry.unit,
        name=case.name,
    )


def need_label(case: Case) -> ndarray:
    """Return a case's label.

    Raises:
        DataError: it has none.
    """
    if case.label is None:
        raise DataError(f"{case.name}: expected a label to measure against, got none")
    return case.label
