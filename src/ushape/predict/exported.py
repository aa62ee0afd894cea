"""Files of other runtimes: what they say of themselves, by their ending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ushape.core.exported import ExportFacts, parse_export
from ushape.core.model_file import ModelHeader


def _read_onnx(path: Path) -> Mapping[str, str]:
    from ushape.predict.onnx_engine import read_onnx_metadata

    return read_onnx_metadata(path)


def _read_openvino(path: Path) -> Mapping[str, str]:
    from ushape.predict.openvino_engine import read_openvino_metadata

    return read_openvino_metadata(path)


METADATA: dict[str, Callable[[Path], Mapping[str, str]]] = {".onnx": _read_onnx, ".xml": _read_openvino}
"""The ending of a file to what reads its metadata; none of them imports torch, and numpy only where it is read."""


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
