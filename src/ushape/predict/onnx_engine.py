"""Graphs in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.core.errors import ModelFileError, first_line, require
from ushape.predict.runtimes import import_onnxruntime

_FAULTS = ("Fail", "InvalidArgument", "InvalidProtobuf", "InvalidGraph", "NoSuchFile", "NotImplemented")
"""The errors of ONNX Runtime; they share no base but Exception."""


class OnnxGraph:
    """An ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session, self._path = open_session(path, threads), path
        feed, out = self._session.get_inputs()[0], self._session.get_outputs()[0].shape
        self._name = feed.name
        self.inputs = tuple(size if isinstance(size, int) else 0 for size in feed.shape)
        self.outputs = out[1] if len(out) > 1 and isinstance(out[1], int) else 0

    def run(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b outputs *inner"]:
        """Return the first output of the graph.

        Raises:
            ModelFileError: the graph does not take these windows.
        """
        try:
            return np.asarray(self._session.run(None, {self._name: windows})[0])
        except _faults() as error:
            raise ModelFileError(
                f"{self._path}: cannot be run on windows of shape {windows.shape} ({first_line(error)}); "
                "export the model again"
            ) from error


def open_session(path: Path, threads: int) -> Any:
    """Load an ONNX file into a session on the CPU whose waiting threads sleep.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        ModelFileError: the file is damaged, or has an operator that ONNX Runtime lacks.
    """
    runtime = import_onnxruntime(f"{path}: running an ONNX file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _faults() as error:
        if type(error).__name__ == "NotImplemented":
            raise ModelFileError(
                f"{path}: ONNX Runtime lacks an operator of this graph ({first_line(error)}); try --engine openvino"
            ) from error
        raise ModelFileError(f"{path}: no ONNX file, or a damaged one ({first_line(error)}); copy it again") from error


def read_onnx_metadata(path: Path) -> Mapping[str, str]:
    """Read the metadata of an ONNX file; torch is not imported.

    Raises:
        MissingExtra: onnx is not installed.
        ModelFileError: it is no ONNX file.
    """
    return {entry.key: entry.value for entry in read_graph(path).metadata_props}


def read_graph(path: Path) -> Any:
    """Read an ONNX file as a graph.

    Raises:
        MissingExtra: onnx is not installed.
        ModelFileError: it is missing, or no ONNX file.
    """
    onnx = require("onnx", "deploy", f"{path}: reading an ONNX file")
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise ModelFileError(f"{path}: expected a file, got nothing; check the path")
    try:
        model = onnx.load(str(path))
    except (OSError, DecodeError) as error:
        raise ModelFileError(f"{path}: no ONNX file, or a damaged one ({error}); copy it again") from error
    if not model.graph.node:
        raise ModelFileError(f"{path}: no ONNX file, or a damaged one (it has no graph); copy it again")
    return model


def ends_in_probabilities(path: Path) -> bool:
    """Say whether an ONNX graph ends in softmax or sigmoid."""
    graph = read_graph(path).graph
    maker = {name: node.op_type for node in graph.node for name in node.output}
    return maker.get(graph.output[0].name) in ("Softmax", "Sigmoid")


def _faults() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(getattr(state, name) for name in _FAULTS)
