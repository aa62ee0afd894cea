"""A file that was not made by ushape, run by a recipe that the user supplies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ushape.core.errors import ModelFileError
from ushape.plan.recipe import Recipe
from ushape.predict.onnx_engine import ends_in_probabilities
from ushape.workflows.formats import Exported


def fit_foreign(engine: Exported, path: Path, recipe: Recipe) -> Exported:
    """Refuse a graph that does not go with a recipe, and find out whether it ends in probabilities.

    Raises:
        ModelFileError: its input or its output has another shape than the recipe says.
    """
    channels, ndim = recipe.data.channels, recipe.net.ndim
    if engine.ndim != ndim or engine.channels not in (0, channels):
        raise ModelFileError(
            f"{path}: expected a graph that takes windows of {ndim} axes and {channels} channels, as --recipe says, "
            f"got {engine.ndim} axes and {engine.channels} channels; correct [net] and [data] in it"
        )
    engine.has_probabilities = path.suffix == ".onnx" and ends_in_probabilities(path)
    size = engine.window or recipe.predict.window.size
    classes = engine(np.zeros((1, channels, *size), dtype=np.float32)).shape[1]
    if classes != recipe.data.labels.count:
        raise ModelFileError(
            f"{path}: expected {recipe.data.labels.count} classes, as --recipe says, got {classes}; "
            "correct data.labels and net.classes in it"
        )
    return engine
