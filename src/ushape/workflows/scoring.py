"""How whole, prepared cases are predicted and measured: the same while training and after it."""

from __future__ import annotations

from collections.abc import Sequence

from numpy import ndarray
from torch import nn

from ushape.core.case import Case, Prediction
from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.measure.table import CaseScores, class_means, mean_foreground_dice, score_case
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe
from ushape.predict.engines import Engine
from ushape.predict.predictor import decide
from ushape.predict.windows import predict_windows
from ushape.train.validation import ValidationScores, Validator
from ushape.workflows.engine import make_engine


def keep_scorable(held_out: Store) -> Store:
    """Return the cases to validate on: none of them if none has foreground, for then no score says anything."""
    has_foreground = any(held_out[number].locations for number in range(len(held_out)))
    return held_out if has_foreground else held_out.subset([])


def make_validator(recipe: Recipe, cases: Store) -> Validator:
    """Say how training scores whole, prepared cases: predicted and measured as everywhere else."""
    labels = recipe.data.labels

    def score(net: nn.Module, case: Case) -> CaseScores:
        engine = make_engine(net, recipe, next(net.parameters()).device.type)
        return score_prediction(predict_prepared(case, engine, recipe), case, labels)

    def summarise(scores: Sequence[CaseScores]) -> ValidationScores:
        dice = class_means(scores, "dice")
        return ValidationScores({name: dice[name] for name in labels.names[1:]}, mean_foreground_dice(scores))

    return Validator(cases, score, summarise)


def predict_prepared(case: Case, engine: Engine, recipe: Recipe) -> Prediction:
    """Predict a case that is prepared already, on the prepared grid."""
    probabilities = predict_windows(case.image, engine, recipe.predict.window)
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
        classes=labels.names,
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
