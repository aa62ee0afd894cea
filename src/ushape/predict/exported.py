"""Files of other runtimes: what they say of themselves, by their ending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ushape.core.exported import ExportFacts, parse_export
from ushape.core.model_file import ModelHeader
from ushape.predict.onnx_engine import read_onnx_metadata
from ushape.predict.openvino_engine import read_openvino_metadata

METADATA: dict[str, Callable[[Path], Mapping[str, str]]] = {
    ".onnx": read_onnx_metadata,
    ".xml": read_openvino_metadata,
}
"""The ending of a file to what reads its metadata; none of them imports torch."""


def is_exported(path: Path) -> bool:
    """Say whether a path is named like a file of another runtime."""
    return path.suffix in METADATA


def read_export(path: Path) -> tuple[ModelHeader, ExportFacts]:
    """Read all of an exported file but its weights.

    Raises:
        MissingExtra: the package that reads it is not installed.
        ModelFileError: it is damaged, or was not made by ushape.
    """
    return parse_export(METADATA[path.suffix](path), path)
