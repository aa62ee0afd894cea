"""Look at the machine: versions, devices, which precision is fastest, which optional parts are missing."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

import torch

from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.train.budget import candidates
from ushape.train.probe import machine_facts, probe_precision
from ushape.train.run_folder import versions

USES = {
    "medical": "NRRD, MetaImage, DICOM",
    "encoders": "pretrained encoders",
    "deploy": "export to ONNX and OpenVINO, INT8, pruning",
    "serve": "the viewer",
    "scale": "images larger than memory, clusters",
    "hub": "models from and to a hub",
    "track": "curves for TensorBoard and MLflow",
}
"""What each optional part of the distribution is for."""
PART = re.compile(r"([\w.-]+).*extra == .(\w+)")
INSTRUCTIONS = {
    "bf16": ("amx_bf16", "avx512_bf16", "sve_bf16", "bf16"),
    "int8": ("amx_int8", "avx512_vnni", "avx_vnni", "dotprod", "i8mm"),
}
"""What makes a precision fast on a CPU, as torch names it."""
TRIAL = UNetConfig(widths=(32, 64, 128), in_channels=1, classes=2)
TRIAL_SHAPE = (8, 1, 128, 128)


def diagnose() -> dict[str, dict[str, Any]]:
    """Return the facts by section; some seconds, most of them the precision probe."""
    machine = machine_facts()
    return {
        "versions": versions(),
        "device": {
            "used": machine.device,
            "name": machine.device_name,
            "cores": machine.cores,
            "memory": f"{machine.memory_gb} GB",
            "cuda": torch.version.cuda if torch.cuda.is_available() else "not available",
            "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        },
        "cpu": {
            "kernels": torch.backends.cpu.get_cpu_capability(),
            **{precision: _find_instructions(precision) for precision in INSTRUCTIONS},
        },
        "training_step": _time_precisions(machine.device),
        "extras": {name: _extra_state(name) for name in USES},
    }


def _time_precisions(device: str) -> dict[str, str]:
    timings = probe_precision(lambda: UNet(TRIAL), TRIAL_SHAPE, device, candidates(device))
    slowest = max(timing.seconds for timing in timings)
    return {
        f"{timing.precision}{', channels last' if timing.channels_last else ''}": (
            f"{timing.seconds * 1000:.0f} ms ({slowest / timing.seconds:.1f}x)"
        )
        for timing in timings
    }


def _find_instructions(precision: str) -> str:
    has = torch.cpu.get_capabilities()
    found = [name for name in INSTRUCTIONS[precision] if has.get(name)]
    return ", ".join(found) if found else "no instructions of its own, so it is no faster than float32"


def _extra_state(extra: str) -> str:
    lines = [PART.match(line) for line in importlib.metadata.requires("ushape") or ()]
    missing = sorted(part[1] for part in lines if part and part[2] == extra and not _is_installed(part[1]))
    if missing:
        return f"missing {', '.join(missing)}, for {USES[extra]}; pip install 'ushape[{extra}]'"
    return f"installed, for {USES[extra]}"


def _is_installed(package: str) -> bool:
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False
