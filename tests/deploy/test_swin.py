"""A net that takes one size only, exported by the command: it says so, and still predicts any image."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cli.calling import call_well
from tests.deploy.conftest import write_random

from ushape.predict.exported import read_export
from ushape.workflows.model import load

HAS_TIMM = importlib.util.find_spec("timm") is not None
if HAS_TIMM:  # as in tests/nets/test_nets_timm.py
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
SWIN = {
    "net.encoder": "timm:swin_tiny_patch4_window7_224",
    "net.widths": [4, 4, 8, 8, 8, 8],
    "predict.window.size": [64, 96],
    "patches.size": [64, 96],
}


@pytest.mark.encoders
@pytest.mark.skipif(not HAS_TIMM, reason="needs timm (make test-encoders)")
def test_a_swin_is_exported_and_its_windows_are_stated(tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.safetensors", SWIN)
    said = call_well("export", model, "--to", "onnx")
    _, facts = read_export(tmp_path / "model.onnx")
    assert (facts.window == ()) == ("for windows of 64x96 only" not in said.err + said.out)
    assert facts.window in ((), (64, 96))
    image = np.random.default_rng(0).normal(size=(1, 100, 71)).astype(np.float32)
    got, want = load(tmp_path / "model.onnx").predict(image), load(model).predict(image)
    assert np.abs(got.probabilities - want.probabilities).mean() < 0.02
