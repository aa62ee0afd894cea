"""A net as an ONNX graph, and the graph as a file."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ushape.core.errors import ExportError, first_line, require
from ushape.core.files import sync_to_disk

OPSET = 18
INPUT, OUTPUT = "windows", "logits"
_SMALLEST_HALVED = 1024  # weights below this stay float32: they are few, and norms are sensitive


def make_graph(net: nn.Module, channels: int, window: tuple[int, ...], *, dynamic: bool) -> Any:
    """Turn a net into an ONNX graph: windows in, logits out, any batch.

    Args:
        window: size of a window; the only one that the graph takes unless `dynamic`.
        dynamic: let the size of the windows be free.
    Raises:
        MissingExtra: onnx or onnxscript is not installed.
        ExportError: the net has an operation that ONNX lacks, or does not allow what is asked.
    """
    require("onnxscript", "deploy", "export to ONNX")
    require("onnx", "deploy", "export to ONNX")
    free = torch.export.Dim.DYNAMIC
    axes = [0, *range(2, 2 + len(window))] if dynamic else [0]
    example = torch.zeros(2, channels, *window)
    try:
        with quiet_exporter(), torch.no_grad():
            program = torch.export.export(
                copy.deepcopy(net).eval(), (example,), dynamic_shapes=(dict.fromkeys(axes, free),)
            )
            exported: Any = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, verbose=False, input_names=[INPUT], output_names=[OUTPUT]
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError, torch.onnx.errors.OnnxExporterError) as error:
        raise ExportError(f"export: this net cannot be written as an ONNX graph ({first_line(error)})") from error
    return strip_notes(exported.model_proto)


def strip_notes(model: Any) -> Any:
    """Drop what the exporter notes on every node and value, places in the source code among it."""
    graph = model.graph
    for entries in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer, [graph, model]):
        for entry in entries:
            del entry.metadata_props[:]
            entry.doc_string = ""
    return model


def halve_weights(model: Any) -> Any:
    """Store large weights in float16; they are cast to float32 when the file is loaded, and computed in that."""
    onnx = require("onnx", "deploy", "export to ONNX")
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST_HALVED:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def write_onnx(model: Any, metadata: Mapping[str, str], path: Path) -> None:
    """Write a graph with its metadata; the caller makes it whole or nothing."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString(deterministic=True))
    sync_to_disk(path)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says of packages that it does not need, and of its own future."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
