"""Graphs in OpenVINO."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.core.cache import Shelf
from ushape.core.errors import ModelFileError
from ushape.core.exported import ExportPrecision
from ushape.predict.runtimes import import_openvino, openvino_core

Shape = tuple[int, ...]

HINTS: dict[ExportPrecision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""What OpenVINO computes in where a layer is not quantised; a CPU without f16 takes float32 for it."""


SHAPES = 4
"""For how many shapes of windows a graph is compiled at a time, each with its own copy of the weights."""


class OpenVinoGraph:
    """A graph in OpenVINO, compiled for each of the few shapes that it meets.

    A graph for one shape is faster than one for all: paddings that add nothing fall away, and layouts are chosen once.
    Further shapes share one that takes any; in integers such a one crashes on some processors (those with AMX, OpenVINO
    2026.3), so there the shape that was not met for longest makes room.

    Args:
        compile_for: returns a compiled model for windows of a shape, None: of any shape.
        one_shape: whether it must never be compiled for any shape.
    """

    def __init__(
        self, model: Any, compile_for: Callable[[Shape | None], Any], name: str = "model", *, one_shape: bool = False
    ) -> None:
        self._compile, self._where, out = compile_for, name, model.output(0).partial_shape
        self._compiled: dict[Shape | None, Any] = {}  # the last used last
        self._one_shape = one_shape
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
        is_free = shape in self._compiled or len(self._compiled) < SHAPES
        key = shape if is_free or self._one_shape else None
        compiled = self._compiled.pop(key, None)
        if compiled is None:
            if not is_free and self._one_shape:
                self._compiled.pop(next(iter(self._compiled)))
            compiled = self._compile(key)
        self._compiled[key] = compiled
        return compiled


def open_graph(path: Path, precision: ExportPrecision, threads: int, shelf: Shelf | None = None) -> OpenVinoGraph:
    """Open an OpenVINO or ONNX file.

    Args:
        shelf: where compiled graphs are kept, and taken from; None compiles them anew.
    Raises:
        MissingExtra: OpenVINO is not installed.
        ModelFileError: the file is missing or damaged; when it is run, too: the CPU lacks an operator of it.
    """
    model = read_model(path)
    options = compile_options(precision, threads)
    kept = Kept(path, options, shelf) if shelf else None

    def compile_for(shape: Shape | None) -> Any:
        if kept and shape and (found := kept.find(shape)) is not None:
            return found
        shaped = model.clone()
        if shape:
            shaped.reshape(list(shape))
        compiled = compile_model(shaped, options, str(path))
        if kept and shape:
            kept.keep(shape, compiled)
        return compiled

    return OpenVinoGraph(model, compile_for, str(path), one_shape=precision == "int8")


class Kept:
    """The compiled graphs of a file, as OpenVINO wrote them for this processor: reading one takes a sixth of the time.

    Those of large files are not kept: most of what they take is copying weights.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], shelf: Shelf) -> None:
        self._core, self._options, self._shelf, self._name = openvino_core("compiling"), options, shelf, ""
        files = [file for file in (path, path.with_suffix(".bin")) if file.is_file()]
        if sum(file.stat().st_size for file in files) <= shelf.largest:
            content = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
            machine = [
                self._core.get_property("CPU", each) for each in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
            ]
            self._name = repr((content, machine, import_openvino("compiling").__version__, sorted(options.items())))

    def find(self, shape: Shape) -> Any:
        """Return the graph for a shape; None if it is not there, or not what this OpenVINO reads."""
        content = self._shelf.find(f"{self._name} {shape}") if self._name else None
        try:
            return None if content is None else self._core.import_model(content, "CPU", dict(self._options))
        except RuntimeError:
            return None

    def keep(self, shape: Shape, compiled: Any) -> None:
        """Keep the graph for a shape."""
        if self._name:
            self._shelf.keep(f"{self._name} {shape}", compiled.export_model().getvalue())


def compile_options(precision: ExportPrecision, threads: int) -> dict[str, Any]:
    """Return how OpenVINO is to compile for windows that come one after the other."""
    speed = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return {"INFERENCE_PRECISION_HINT": HINTS[precision], **speed}


def compile_model(model: Any, options: Mapping[str, Any], where: str) -> Any:
    """Compile a model of OpenVINO for the CPU.

    Raises:
        ModelFileError: the CPU lacks an operator of it.
    """
    core = openvino_core(f"{where}: running it")
    try:
        return core.compile_model(model, "CPU", dict(options))
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
