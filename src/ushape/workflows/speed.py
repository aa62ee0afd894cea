"""Which engine is the fastest for a model on this machine: measured once, remembered in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ushape.core.cache import cache_folder
from ushape.core.errors import DataError, ExportError, MissingExtra
from ushape.core.files import read_json, write_json
from ushape.predict.engines import Engine
from ushape.predict.timing import Ranking, time_engine
from ushape.train.probe import machine_facts
from ushape.workflows.export import ExportRequest, export

RUNTIMES = ("torch", "onnxruntime", "openvino")
"""The packages whose versions make a measurement another one."""


def rank_engines(file: Path, openers: Mapping[str, Callable[[], Engine]], trial: tuple[int, ...]) -> Ranking:
    """Time each engine on a window, or remember what was measured on this machine before.

    Args:
        openers: by the name of an engine, what opens the file in it.
        trial: shape of the windows.
    Raises:
        MissingExtra: no engine that can run the file is installed.
    """
    kept, key = cache_folder() / "engines.json", _key(file)
    known: dict[str, Any] = {}
    with suppress(DataError):  # nothing is remembered yet
        known = read_json(kept)
    if key in known:
        return Ranking(known[key], {}, remembered=True)
    found, missing, fault = {}, {}, None
    for name, opener in openers.items():
        try:
            found[name] = round(min(time_engine(opener(), trial)) * 1000, 2)  # longer ones waited
        except (MissingExtra, ExportError) as error:
            missing[name], fault = str(error), error
    if not found and fault is not None:
        raise fault
    if not missing:
        write_json(kept, {**known, key: found})
    return Ranking(found, missing)


def cached_export(file: Path) -> Path:
    """Return a model's ONNX file in the cache folder, exported if it is not there yet."""
    path = cache_folder() / "exports" / f"{digest(file)}.onnx"
    if not path.exists():
        export(ExportRequest(file, "onnx", output=path))
    return path


def digest(file: Path) -> str:
    """Name a file by its content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:24]


def _key(file: Path) -> str:
    machine = machine_facts("cpu")
    found = [_version(package) for package in RUNTIMES]
    return " | ".join([digest(file), machine.device_name, str(machine.cores), *found])


def _version(package: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return f"{package} {importlib.metadata.version(package)}"
    return f"no {package}"
