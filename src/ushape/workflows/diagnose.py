"""Look at the machine: versions, devices, which precision is fastest, which optional parts are missing."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.train.budget import candidates
from ushape.train.probe import machine_facts, probe_precision
from ushape.train.run_folder import versions

EXTRAS = {
    "medical": ("SimpleITK", "pydicom", "highdicom"),
    "encoders": ("timm",),
    "deploy": ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"),
    "serve": ("fastapi", "uvicorn"),
    "scale": ("dask", "zarr"),
    "hub": ("huggingface_hub",),
    "track": ("tensorboard", "mlflow"),
}
TRIAL = UNetConfig(widths=(32, 64, 128), in_channels=1, classes=2)
TRIAL_SHAPE = (8, 1, 128, 128)


def diagnose() -> dict[str, dict[str, Any]]:
    """Return the facts by section; about two seconds, most of them the precision probe."""
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
        "training_step": _time_precisions(machine.device),
        "extras": {name: _extra_state(name, modules) for name, modules in EXTRAS.items()},
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


def _extra_state(name: str, modules: tuple[str, ...]) -> str:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"missing {', '.join(missing)}; pip install 'ushape[{name}]'" if missing else "installed"
