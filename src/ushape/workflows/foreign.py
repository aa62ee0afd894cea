"""A file that was not made by ushape, run by a recipe that the user supplies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import ModelFileError
from ushape.plan.usage import Usage
from ushape.predict.graph_engine import GraphEngine
from ushape.predict.onnx_engine import ends_in_probabilities


@dataclass(frozen=True)
class Foreign:
    """An ONNX file that was not made by ushape, with what such a file does not say.

    Attributes:
        recipe: how images are prepared, and the classes; a file.
    """

    file: str | Path
    recipe: str | Path


ModelPath = str | Path | Foreign
"""What a model can be loaded from: a file, a run folder, `hub:OWNER/NAME`, or a foreign file."""


def fit_foreign(engine: GraphEngine, path: Path, usage: Usage) -> GraphEngine:
    """Refuse a graph that does not go with its recipe, and find out whether it ends in probabilities.

    Raises:
        ModelFileError: its input or its output has another shape than the recipe says.
    """
    channels, ndim = usage.data.channels, usage.ndim
    if engine.ndim != ndim or engine.channels not in (0, channels):
        raise ModelFileError(
            f"{path}: expected a graph that takes windows of {ndim} axes and {channels} channels, as --recipe says, "
            f"got {engine.ndim} axes and {engine.channels} channels; correct [net] and [data] in it"
        )
    engine.has_probabilities = path.suffix == ".onnx" and ends_in_probabilities(path)
    if engine.outputs not in (0, usage.outputs):
        raise ModelFileError(
            f"{path}: expected {usage.outputs} outputs, as --recipe says, got {engine.outputs}; "
            "correct data.labels and net.classes in it"
        )
    return engine
