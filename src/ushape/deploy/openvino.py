"""An ONNX graph as a model of OpenVINO, and that as its two files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ushape.core.errors import ModelFileError
from ushape.core.exported import ExportPrecision
from ushape.core.files import sync_to_disk
from ushape.predict.runtimes import import_openvino, openvino_core

HALVED: tuple[ExportPrecision, ...] = ("fp16", "bf16")
"""The precisions whose weights are stored in 16 bits."""


def convert_graph(graph: Any) -> Any:
    """Turn an ONNX graph into a model of OpenVINO.

    Raises:
        MissingExtra: OpenVINO is not installed.
        ModelFileError: OpenVINO lacks an operator of the graph.
    """
    core = openvino_core("export to OpenVINO")
    try:
        return core.read_model(graph.SerializeToString(), b"")
    except RuntimeError as error:
        raise ModelFileError(f"export: OpenVINO cannot read this graph ({error}); try --to onnx") from error


def write_openvino(model: Any, metadata: Mapping[str, str], path: Path, precision: ExportPrecision) -> None:
    """Write a model with its metadata as an .xml and the .bin beside it; the caller makes it whole or nothing."""
    openvino = import_openvino("export to OpenVINO")
    model.set_rt_info(json.dumps(dict(metadata)), ["ushape"])
    openvino.save_model(model, str(path), compress_to_fp16=precision in HALVED)
    sync_to_disk(path)
    sync_to_disk(path.with_suffix(".bin"))
