"""ONNX Runtime and OpenVINO, imported without their telemetry: nothing is sent anywhere."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import cast

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
