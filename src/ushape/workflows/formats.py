"""The formats that a model can be exported to, one entry each: what is written, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ushape.core.errors import ExportError
from ushape.core.events import Listener, Message
from ushape.core.exported import ExportPrecision
from ushape.deploy.onnx import halve_weights, make_graph, write_onnx
from ushape.deploy.openvino import convert_graph, write_openvino
from ushape.io.layouts import show_size
from ushape.nets.unet import UNet
from ushape.predict.graph_engine import GraphEngine
from ushape.workflows.engine import window_margin
from ushape.workflows.openers import OPENERS
from ushape.workflows.stored import StoredModel

Graph = Any
"""A graph of onnx or a model of OpenVINO."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        weights: the ending of a second file that holds the weights, or "".
        precisions: that its runtime has on a CPU.
        refusal: why it has no others.
        convert: make its graph of an ONNX graph.
        write: a graph with metadata to a path.
    """

    name: Literal["onnx", "openvino"]
    suffix: str
    weights: str
    precisions: tuple[ExportPrecision, ...]
    refusal: str
    convert: Callable[[Any], Graph]
    write: Callable[[Graph, Mapping[str, str], Path, ExportPrecision], None]

    def open(self, path: Path, stored: StoredModel, precision: ExportPrecision) -> GraphEngine:
        """Open the file of a model as an engine."""
        classes, margin = stored.recipe.data.labels.count, window_margin(stored.recipe)
        return OPENERS[self.name](path, classes, margin, precision, False)


def make_dynamic(form: Format, stored: StoredModel, listener: Listener) -> tuple[Graph, bool]:
    """Make the graph of a net for windows of any size; where the net does not allow it, for one size, and say so.

    Returns:
        The graph, and whether it takes any size.
    """
    net, channels, window = stored.nets[0], stored.recipe.data.channels, stored.recipe.predict.window.size
    try:
        _refuse_one_size(net)
        return form.convert(make_graph(net, channels, window, dynamic=True)), True
    except ExportError as error:
        graph = make_graph(net, channels, window, dynamic=False)
        listener(Message(f"this net is exported for windows of {show_size(window)} only ({error})", "warning"))
        return form.convert(graph), False


def _refuse_one_size(net: UNet) -> None:
    """Refuse what torch would reason about without end where a size is a symbol."""
    if net.encoder.one_size:
        raise ExportError(f"encoder {net.config.encoder} {net.encoder.one_size}")


def _write_onnx(graph: Graph, metadata: Mapping[str, str], path: Path, precision: ExportPrecision) -> None:
    write_onnx(halve_weights(graph) if precision == "fp16" else graph, metadata, path)


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "onnx", ".onnx", "", ("fp32", "fp16", "int8"), "ONNX Runtime has no bf16 convolutions on a CPU, OpenVINO has",
        lambda graph: graph, _write_onnx,
    ),
    "openvino": Format(
        "openvino", ".xml", ".bin", ("fp32", "fp16", "bf16", "int8"), "unknown",
        convert_graph, write_openvino,
    ),
}  # fmt: skip
