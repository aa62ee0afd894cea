"""The formats that a model can be exported to, one entry each: what is written, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ushape.core.errors import ExportError
from ushape.core.events import Listener, Message
from ushape.core.exported import ExportPrecision
from ushape.deploy.onnx import halve_weights, make_graph, write_onnx
from ushape.deploy.openvino import convert_graph, write_openvino
from ushape.io.layouts import show_size
from ushape.plan.recipe import Recipe
from ushape.predict.onnx_engine import OnnxEngine
from ushape.predict.openvino_engine import OpenVinoEngine, compile_model, read_model
from ushape.workflows.engine import window_margin
from ushape.workflows.stored import StoredModel

Graph = Any
"""A graph of onnx or a model of OpenVINO."""
Exported = OnnxEngine | OpenVinoEngine


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        weights: the ending of a second file that holds the weights, or "".
        precisions: that its runtime has on a CPU.
        refusal: why it has no others.
        convert: make its graph of an ONNX graph.
        write: a graph with metadata to a path.
        open: a file as an engine.
    """

    name: Literal["onnx", "openvino"]
    suffix: str
    weights: str
    precisions: tuple[ExportPrecision, ...]
    refusal: str
    convert: Callable[[Any], Graph]
    write: Callable[[Graph, Mapping[str, str], Path, ExportPrecision], None]
    open: Callable[[Path, Recipe, ExportPrecision], Exported]


def make_dynamic(form: Format, stored: StoredModel, listener: Listener) -> tuple[Graph, bool]:
    """Make the graph of a net for windows of any size; where the net does not allow it, for one size, and say so.

    Returns:
        The graph, and whether it takes any size.
    """
    channels, window = stored.recipe.data.channels, stored.recipe.predict.window.size
    try:
        return form.convert(make_graph(stored.nets[0], channels, window, dynamic=True)), True
    except ExportError as error:
        graph = make_graph(stored.nets[0], channels, window, dynamic=False)
        listener(Message(f"this net is exported for windows of {show_size(window)} only ({error})", "warning"))
        return form.convert(graph), False


def open_onnx(path: Path, recipe: Recipe, _: ExportPrecision) -> OnnxEngine:
    """Open an ONNX file in ONNX Runtime, with as many threads as torch has; the graph has its precision in it."""
    return OnnxEngine(path, recipe.data.labels.count, margin=window_margin(recipe), threads=torch.get_num_threads())


def open_openvino(path: Path, recipe: Recipe, precision: ExportPrecision) -> OpenVinoEngine:
    """Open an OpenVINO or ONNX file in OpenVINO, with as many threads as torch has."""
    compiled = compile_model(read_model(path), precision, torch.get_num_threads(), str(path))
    return OpenVinoEngine(compiled, recipe.data.labels.count, margin=window_margin(recipe), name=str(path))


def _write_onnx(graph: Graph, metadata: Mapping[str, str], path: Path, precision: ExportPrecision) -> None:
    write_onnx(halve_weights(graph) if precision == "fp16" else graph, metadata, path)


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "onnx", ".onnx", "", ("fp32", "fp16", "int8"), "ONNX Runtime has no bf16 convolutions on a CPU, OpenVINO has",
        lambda graph: graph, _write_onnx, open_onnx,
    ),
    "openvino": Format(
        "openvino", ".xml", ".bin", ("fp32", "fp16", "bf16", "int8"), "unknown",
        convert_graph, write_openvino, open_openvino,
    ),
}  # fmt: skip
