"""What is no model file is refused by its name."""

from pathlib import Path

import pytest
import torch
from tests.deploy.conftest import write_random

from ushape.core.errors import ModelFileError
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.workflows.model import load
from ushape.workflows.stored import read_model


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\xff" * 100, b"\x10" + b"\0" * 7 + b"{}" + b" " * 14]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"thing\.safetensors: "):
        load(path)


def test_a_missing_model_is_told_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"expected a model file, found none; give the model\.safetensors of a run"
    ):
        load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ModelFileError, match=r"model\.safetensors: expected a model file"):
        load(tmp_path)


@pytest.mark.parametrize("attention", ["none", "cbam"])
def test_a_model_is_read_without_drawing_weights_first(tmp_path: Path, attention: str) -> None:
    path = write_random(tmp_path / "model.safetensors", {"net.block.attention": attention})
    before = torch.get_rng_state()
    (net,) = read_model(path).nets
    assert torch.equal(torch.get_rng_state(), before)
    stored = read_weights(path)
    assert all(torch.equal(value, stored[name]) for name, value in net.state_dict().items())
    assert all(weight.requires_grad for weight in net.parameters())


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_model_of_which_one_weight_is_nan_is_refused_by_every_engine(tmp_path: Path, engine: str) -> None:
    path = write_random(tmp_path / "model.safetensors", {"net.widths": [4, 8]})
    weights = read_weights(path)
    next(iter(weights.values())).view(-1)[0] = float("nan")
    write_model(path, weights, read_header(path))
    with pytest.raises(ModelFileError, match=r"model\.safetensors: expected finite weights"):
        load(path, engine=engine)
