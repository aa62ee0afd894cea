"""From a case to its prediction: prepare, predict windows, decide, walk back to the input's grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.case import ArrayLike, Case, Prediction
from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.core.labels import AnyLabel
from ushape.predict.compose import carry_entropy, is_averaged, normal_entropy
from ushape.predict.engines import Engine
from ushape.predict.layout import Region
from ushape.predict.postprocess import AnyRule, apply_rules
from ushape.predict.rows import Rows
from ushape.predict.windows import WindowConfig, predict_windows, stream_windows
from ushape.prep.pipeline import Pipeline, WayBack

Share = Annotated[float, Field(gt=0, lt=1)]
Threshold = Literal["argmax"] | Share | tuple[Share, ...]


class PredictConfig(Config):
    """How a model is applied to an image.

    Attributes:
        window: how the image is cut.
        threshold: "argmax", or for two classes the probability from which a voxel is foreground, in (0, 1); or for
            classes that may overlap one such number for each of the foreground's.
        mirror: average over flips of the axes that training flipped.
        postprocess: rules that clean the label at the end, in this order.
    """

    window: WindowConfig = WindowConfig()
    threshold: Threshold = "argmax"
    mirror: bool = False
    postprocess: tuple[AnyRule, ...] = ()

    def spread_threshold(self, threshold: float | None, classes: int) -> object:
        """Return a threshold in the form of this one, of every class alike; None stands for this one.

        Raises:
            ConfigError: it is no probability, or there are more than two classes that exclude each other.
        """
        if threshold is None:
            return self.threshold
        if not 0 < threshold < 1:
            raise ConfigError(f"predict.threshold: expected a number between 0 and 1, got {threshold}; correct it")
        if classes > 2 and not isinstance(self.threshold, tuple):
            raise ConfigError(
                f"predict.threshold: expected two classes, got {classes}; leave --threshold out: the likeliest is taken"
            )
        return (threshold,) * len(self.threshold) if isinstance(self.threshold, tuple) else threshold


def predict_case(case: Case, pipeline: Pipeline, engine: Engine, config: PredictConfig) -> Prediction:
    """Predict one case on its own grid, and keep the probabilities of all classes.

    Returns:
        Class indices, and the probabilities they were decided from.
    """
    prepared, undo = pipeline.forward(case)
    probabilities = undo(predict_windows(prepared.image, engine, config.window))
    label = apply_rules(decide(probabilities, config.threshold), config.postprocess, case.geometry)
    return Prediction(case.name, label, case.geometry, probabilities)


def predict_uncertainty(case: Case, pipeline: Pipeline, engine: Engine, config: PredictConfig) -> Prediction:
    """Predict one case as `predict_case`, and say where the prediction is uncertain.

    Where windows overlap they count as passes too. One network without mirror images has nothing to disagree with: its
    uncertainty is the entropy alone.

    Source: Houlsby et al. 2011, arXiv:1112.5745 (the difference of entropies). Differs: divided by log(classes).
    """
    prepared, undo = pipeline.forward(case)
    *_, mean_entropy = carried = undo(predict_windows(prepared.image, carry_entropy(engine), config.window))
    probabilities = carried[:-1]
    entropy = normal_entropy(probabilities, axis=0)
    label = apply_rules(decide(probabilities, config.threshold), config.postprocess, case.geometry)
    channels = [entropy, entropy - mean_entropy] if is_averaged(engine) else [entropy]
    uncertainty = np.clip(np.stack(channels), 0, 1)
    return Prediction(case.name, label, case.geometry, probabilities, uncertainty)


def predict_label(case: Case, pipeline: Pipeline, engine: Engine, config: PredictConfig) -> Prediction:
    """Predict one case on its own grid: the same label as `predict_case`, decided slab by slab.

    Memory: the label and a slab, however many classes there are. (Two cases are larger: of a resampled case a slab is
    never cut into blocks, and one that is padded after resampling is predicted as by `predict_case`.) Classes that may
    overlap are predicted as by `predict_case`, too.
    """
    if isinstance(config.threshold, tuple):
        return replace(predict_case(case, pipeline, engine, config), probabilities=None)
    prepared, undo = pipeline.forward(case)
    if undo.is_resampled:
        probabilities = _in_rows(prepared.image, undo, engine, config.window)
        label = undo.label(probabilities, partial(decide, threshold=config.threshold))
    else:
        label = undo.take_label(decide_prepared(prepared.image, engine, config))
    return Prediction(case.name, apply_rules(label, config.postprocess, case.geometry), case.geometry)


def decide_prepared(image: ArrayLike, engine: Engine, config: PredictConfig) -> AnyLabel:
    """Predict a prepared image and decide slab by slab; return the label on its grid."""
    label = np.empty(image.shape[1:], dtype=np.int16)
    if isinstance(config.threshold, tuple):
        label = np.empty((len(config.threshold), *label.shape), dtype=bool)
    for region, part in stream_label(image, engine, config):
        place: tuple[Any, ...] = (..., *region)
        label[place] = part
    return label


def stream_label(image: ArrayLike, engine: Engine, config: PredictConfig) -> Iterator[tuple[Region, ndarray]]:
    """Predict a prepared image that may be larger than memory; yield the label, part by part, and where it goes."""
    for region, part in stream_windows(image, engine, config.window):
        yield region, decide(part, config.threshold)


def decide(
    probabilities: Float[ndarray, "all_classes *space"], threshold: Literal["argmax"] | float | tuple[float, ...]
) -> AnyLabel:
    """Turn probabilities into class indices: the likeliest class, the lowest if several tie; or the foreground from a
    threshold on. Of several thresholds each makes the mask of its foreground class, whatever the others are.

    Memory: the result, and two voxels' worth of it for each voxel.

    Raises:
        ConfigError: one threshold with more than two classes, or several of another number than there are.

    >>> decide(np.array([[0.6, 0.3], [0.4, 0.7]]), 0.35).tolist()
    [1, 1]
    """
    if threshold == "argmax":
        return _likeliest(probabilities)
    if isinstance(threshold, tuple):
        return _exceed(probabilities[1:], threshold)
    if len(probabilities) != 2:
        raise ConfigError(f"threshold: expected two classes, got {len(probabilities)}; use argmax")
    return (probabilities[1] >= threshold).astype(np.int16)


def _exceed(probabilities: Float[ndarray, "k *space"], thresholds: tuple[float, ...]) -> Bool[ndarray, "k *space"]:
    if len(probabilities) != len(thresholds):
        raise ConfigError(f"threshold: expected {len(probabilities)}, one per class, got {len(thresholds)}; set all")
    pairs = zip(probabilities, thresholds, strict=True)
    return np.stack([probability >= threshold for probability, threshold in pairs])


def _likeliest(probabilities: Float[ndarray, "classes *space"]) -> Integer[ndarray, "*space"]:
    label = np.zeros(probabilities.shape[1:], dtype=np.int16)
    best = probabilities[0].copy()
    for number, probability in enumerate(probabilities[1:], start=1):
        np.copyto(label, np.int16(number), where=probability > best)
        np.maximum(best, probability, out=best)
    return label


def _in_rows(image: ArrayLike, undo: WayBack, engine: Engine, config: WindowConfig) -> ArrayLike:
    if not undo.fitted.is_whole:
        return predict_windows(image, engine, config)
    parts = stream_windows(image, engine, config, slab_bytes=math.inf)
    return Rows(parts, (engine.classes, *image.shape[1:]))
