"""ONNX Runtime and OpenVINO, imported without their telemetry: nothing is sent anywhere."""

from __future__ import annotations

import os
import sys
from functools import cache
from types import ModuleType
from typing import Any, cast

from ushape.core.errors import require


def import_onnxruntime(purpose: str) -> ModuleType:
    """Import ONNX Runtime; its makers' switch, which it reads while it loads, keeps it from reporting to Microsoft.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return require("onnxruntime", "deploy", purpose)


def import_openvino(purpose: str) -> ModuleType:
    """Import OpenVINO; it reports every import to its maker unless its package for that is absent.

    nncf, imported after this, falls silent for the same reason.

    Raises:
        MissingExtra: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))  # importing it fails from now on
    return require("openvino", "deploy", purpose)


def openvino_core(purpose: str) -> Any:
    """Return the one core of OpenVINO that this process has, so that it is never destroyed.

    Each core that compiles for the CPU gives the thread a stack for its signals, and when it is destroyed it hands the
    one before back. Where two cores end in the order in which they began, that one is gone by then, and the next
    Ctrl-C crashes the process.

    Raises:
        MissingExtra: OpenVINO is not installed.
    """
    import_openvino(purpose)
    return _core()


@cache
def _core() -> Any:
    return import_openvino("a core").Core()
