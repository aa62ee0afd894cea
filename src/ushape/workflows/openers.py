"""Exported files as engines; torch is not imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ushape.core.cache import Shelf, cache_folder
from ushape.core.cores import usable_cores
from ushape.core.exported import ExportPrecision
from ushape.predict.graph_engine import GraphEngine
from ushape.predict.onnx_engine import OnnxGraph
from ushape.predict.openvino_engine import open_graph

Margin = tuple[int, ...]


def open_onnx(path: Path, classes: int, margin: Margin, _: ExportPrecision, __: bool) -> GraphEngine:
    """Open an ONNX file in ONNX Runtime; the graph has its precision in it."""
    return GraphEngine(OnnxGraph(path, usable_cores()), classes, margin=margin)


def open_openvino(path: Path, classes: int, margin: Margin, precision: ExportPrecision, lasts: bool) -> GraphEngine:
    """Open an OpenVINO or ONNX file in OpenVINO; what is compiled for a file that lasts is kept in the cache folder."""
    shelf = Shelf(cache_folder() / "compiled") if lasts else None
    return GraphEngine(open_graph(path, precision, usable_cores(), shelf), classes, margin=margin)


OPENERS: dict[str, Callable[[Path, int, Margin, ExportPrecision, bool], GraphEngine]] = {
    "onnx": open_onnx,
    "openvino": open_openvino,
}
"""The name of a runtime to what opens a file in it, given the classes, what a window loses at each side, its
precision, and whether the file lasts."""
