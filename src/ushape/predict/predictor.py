"""From a case to its prediction: prepare, predict windows, walk back to the input's grid, decide."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.case import Case, Prediction
from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.predict.engines import Engine
from ushape.predict.windows import WindowConfig, predict_windows
from ushape.prep.pipeline import Pipeline


class PredictConfig(Config):
    """How a model is applied to an image.

    Attributes:
        window: how the image is cut.
        threshold: "argmax", or for two classes the probability from which a voxel is foreground, in (0, 1).
        mirror: average over flips of every axis.
    """

    window: WindowConfig = WindowConfig()
    threshold: Literal["argmax"] | Annotated[float, Field(gt=0, lt=1)] = "argmax"
    mirror: bool = False


def predict_case(case: Case, pipeline: Pipeline, engine: Engine, config: PredictConfig) -> Prediction:
    """Predict one case on its own grid.

    Returns:
        Class indices, and the probabilities they were decided from.
    """
    prepared, undo = pipeline.forward(case)
    probabilities = undo(predict_windows(prepared.image, engine, config.window))
    return Prediction(case.name, decide(probabilities, config.threshold), case.geometry, probabilities)


def decide(
    probabilities: Float[ndarray, "classes *space"], threshold: Literal["argmax"] | float
) -> Integer[ndarray, "*space"]:
    """Turn probabilities into class indices: the likeliest class, or the foreground from a threshold on.

    Raises:
        ConfigError: a threshold with more than two classes.

    >>> decide(np.array([[0.6, 0.3], [0.4, 0.7]]), 0.35).tolist()
    [1, 1]
    """
    if threshold == "argmax":
        return probabilities.argmax(axis=0).astype(np.int16)
    if len(probabilities) != 2:
        raise ConfigError(f"threshold: expected two classes, got {len(probabilities)}; use argmax")
    return (probabilities[1] >= threshold).astype(np.int16)
