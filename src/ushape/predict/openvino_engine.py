"""Graphs in OpenVINO."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.core.errors import ModelFileError
from ushape.core.exported import ExportPrecision
from ushape.predict.runtimes import openvino_core

Shape = tuple[int, ...]

HINTS: dict[ExportPrecision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""What OpenVINO computes in where a layer is not quantised; a CPU without f16 takes float32 for it."""


SHAPES = 3
"""For how many shapes of windows a graph is compiled anew, each with its own copy of the weights."""


class OpenVinoGraph:
    """A graph in OpenVINO, compiled for each of the first few shapes that it meets.

    A graph for one shape is a third faster than one for all: paddings that add nothing fall away, and layouts are
    chosen once. Further shapes share one that takes any.

    Args:
        compile_for: returns a compiled model for windows of a shape, None: of any shape.
    """

    def __init__(self, model: Any, compile_for: Callable[[Shape | None], Any], name: str = "model") -> None:
        self._compile, self._where, out = compile_for, name, model.output(0).partial_shape
        self._compiled: dict[Shape | None, Any] = {}
        self.inputs = tuple(axis.get_length() if axis.is_static else 0 for axis in model.input(0).partial_shape)
        self.outputs = out[1].get_length() if len(out) > 1 and out[1].is_static else 0

    def run(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b outputs *inner"]:
        """Return a copy of the first output of the graph; the runtime uses its own again.

        Raises:
            ModelFileError: the graph does not take these windows.
        """
        try:
            return np.array(self._choose(windows.shape)(windows)[0])
        except RuntimeError as error:
            raise ModelFileError(
                f"{self._where}: cannot be run on windows of shape {windows.shape} ({_last_line(error)}); "
                "export the model again"
            ) from error

    def _choose(self, shape: Shape) -> Any:
        key = shape if shape in self._compiled or len(self._compiled) < SHAPES else None
        if key not in self._compiled:
            self._compiled[key] = self._compile(key)
        return self._compiled[key]


def open_graph(path: Path, precision: ExportPrecision, threads: int) -> OpenVinoGraph:
    """Open an OpenVINO or ONNX file.

    Raises:
        MissingExtra: OpenVINO is not installed.
        ModelFileError: the file is missing or damaged; when it is run, too: the CPU lacks an operator of it.
    """
    model = read_model(path)

    def compile_for(shape: Shape | None) -> Any:
        shaped = model.clone()
        if shape:
            shaped.reshape(list(shape))
        return compile_model(shaped, precision, threads, str(path))

    return OpenVinoGraph(model, compile_for, str(path))


def compile_model(model: Any, precision: ExportPrecision, threads: int, where: str) -> Any:
    """Compile a model of OpenVINO for the CPU.

    Raises:
        ModelFileError: the CPU lacks an operator of it.
    """
    core = openvino_core(f"{where}: running it")
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": threads}
    try:
        return core.compile_model(model, "CPU", {**options, "PERFORMANCE_HINT": "LATENCY"})
    except RuntimeError as error:
        raise ModelFileError(
            f"{where}: OpenVINO lacks an operator of this graph, or the file is damaged ({_last_line(error)}); "
            "copy or export it again, or try --engine onnx"
        ) from error


def read_model(path: Path) -> Any:
    """Read an OpenVINO or ONNX file.

    Raises:
        MissingExtra: OpenVINO is not installed.
        ModelFileError: the file, or the .bin beside it, is missing or damaged.
    """
    core = openvino_core(f"{path}: running it with OpenVINO")
    if not path.is_file():
        raise ModelFileError(f"{path}: expected a file, got nothing; check the path")
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        raise ModelFileError(f"{path}: expected its weights beside it, found no {path.stem}.bin; copy both files")
    try:
        return core.read_model(str(path))
    except RuntimeError as error:
        raise ModelFileError(
            f"{path}: no OpenVINO model, or a damaged one ({_last_line(error)}); copy both files again"
        ) from error


def read_openvino_metadata(path: Path) -> Mapping[str, str]:
    """Read what ushape wrote into an OpenVINO file; torch is not imported.

    Raises:
        MissingExtra: OpenVINO is not installed.
        ModelFileError: it is no OpenVINO file.
    """
    model = read_model(path)
    if not model.has_rt_info(["ushape"]):
        return {}
    found: Mapping[str, str] = json.loads(model.get_rt_info(["ushape"]).astype(str))
    return found


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
