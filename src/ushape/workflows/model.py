"""A trained model as an object: made from its file, applied to images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.config import with_fields
from ushape.core.errors import DataError
from ushape.io.cases import fit_channels
from ushape.io.given import as_case
from ushape.predict.compose import Mirrored
from ushape.predict.postprocess import parse_rules
from ushape.predict.predictor import PredictConfig, predict_case, predict_label, predict_uncertainty
from ushape.prep.pipeline import Pipeline
from ushape.workflows.ensemble import run_models
from ushape.workflows.foreign import ModelPath
from ushape.workflows.runtime import Running

if TYPE_CHECKING:
    from ushape.plan.recipe import Recipe


class Model:
    """A trained model, ready to predict. Made by `load`.

    Attributes:
        usage: what of its recipe prediction needs.
        mirrored: the axes along which predictions are averaged over mirror images.
        told: which engine runs it and why; "" if there was nothing to choose.
    """

    def __init__(self, running: Running, config: PredictConfig) -> None:
        self.usage, self.config, self.told = running.usage, config, running.told
        self.mirrored = self.usage.mirror_axes() if config.mirror else ()
        self.engine = Mirrored(running.engine, self.mirrored) if config.mirror else running.engine
        self._pipeline = Pipeline(self.usage.prep)

    @property
    def recipe(self) -> Recipe:
        """All choices of its training."""
        return self.usage.whole_recipe()

    def predict(
        self, image: str | Path | ndarray | Case, *, probabilities: bool = True, uncertainty: bool = False
    ) -> Prediction:
        """Predict one image on its own grid.

        Args:
            image: a file, a case, or an array of (channels, *space), or of (*space) for one channel.
            probabilities: whether to return them too; without, the memory that many classes need stays small.
            uncertainty: whether to return `Prediction.uncertainty` and probabilities.
        Returns:
            Class indices (see `usage.data.labels` for their names and file values), and probabilities if wanted.
        Raises:
            DataError: the image cannot be read, or does not fit the model.
        """
        case = as_case(image, self.usage.ndim)
        name = case.source or case.name
        if len(case.space) < self.usage.ndim:
            raise DataError(f"{name}: expected a volume for a 3D model, got a picture; leave it out")
        fitted = fit_channels(np.asarray(case.image[...]), self.usage.data.channels, name)
        run = predict_uncertainty if uncertainty else predict_case if probabilities else predict_label
        return run(case.with_image(fitted), self._pipeline, self.engine, self.config)


def load(
    path: ModelPath | Sequence[ModelPath],
    *,
    device: str = "auto",
    mirror: bool = False,
    threshold: float | None = None,
    postprocess: str = "auto",
    engine: str = "own",
) -> Model:
    """Load a model file, the model of a run folder, an exported file, or a model on a hub: `hub:OWNER/NAME`.

    Args:
        path: a `Foreign` is a file that ushape did not make, with its recipe; of several models the probabilities are
            averaged, and they must agree in classes and preparation.
        mirror: average over flips of the axes that training flipped, see `Usage.mirror_axes`: 2**axes times slower.
        threshold: probability from which a voxel is foreground, of each class if they may overlap; None: the recipe's.
        postprocess: rules as `parse_rules` reads them, "none", or "auto" for those that training chose.
        engine: "torch", "onnx" or "openvino"; "own" for the one the file is made for; "auto" for the fastest here.
    Raises:
        ModelFileError: the file is no model, is damaged, or its weights are not finite or do not fit its recipe.
        ConfigError: the engine cannot run the file, training flipped nothing to mirror, or the threshold is impossible.
    """
    running = run_models([path] if isinstance(path, ModelPath) else path, engine, device)
    usage = running.usage
    chosen = {"mirror": mirror, "threshold": usage.predict.spread_threshold(threshold, usage.data.labels.count)}
    config = with_fields(usage.predict, chosen, "predict")
    if postprocess != "auto":
        config = config.model_copy(update={"postprocess": parse_rules(postprocess)})
    return Model(running, config)
