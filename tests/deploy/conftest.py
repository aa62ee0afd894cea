"""Two trained or random models and their exported files, for all tests of this folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jaxtyping
import onnx
import pytest
import torch
from tests.conftest import write_blobs
from tests.train.tiny import fit_tiny

from ushape.core.config import with_fields
from ushape.core.model_file import ModelHeader, write_model
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows import formats
from ushape.workflows.export import ExportRequest, export

LEARNT = {"net.widths": [8, 12, 16], "train.epochs": 4, "train.steps_per_epoch": 12, "train.optim.lr": 0.02}


@contextmanager
def unchecked_shapes() -> Iterator[None]:
    """Let graphs be recorded: the checks of shapes bind the sizes that must stay symbols."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def shapes_unchecked() -> Iterator[None]:
    with unchecked_shapes():
        yield


@pytest.fixture(scope="session")
def blobs_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("data") / "blobs", 10)


@pytest.fixture(scope="session")
def learnt(blobs_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds bright discs."""
    return fit_tiny(blobs_data, tmp_path_factory.mktemp("learnt") / "run", LEARNT).model


@pytest.fixture(scope="session")
def files(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that model as model.safetensors, model.onnx and model.xml."""
    folder = tmp_path_factory.mktemp("files")
    model = Path(shutil.copy(learnt, folder))
    with unchecked_shapes():
        for to in ("onnx", "openvino"):
            export(ExportRequest(model, to))
    return folder


@pytest.fixture
def recorded(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the graph of that model from its file: recording it anew takes seconds."""
    monkeypatch.setattr(formats, "make_graph", lambda *_, dynamic: onnx.load(str(files / "model.onnx")))


def write_random(path: Path, changes: dict[str, object]) -> Path:
    """Write a model file of random weights, far enough from zero that a fault shows."""
    recipe = with_fields(Recipe(), changes, "test")
    torch.manual_seed(0)
    weights = {key: value * 3 if value.ndim > 1 else value for key, value in UNet(recipe.net).state_dict().items()}
    write_model(path, weights, ModelHeader(to_toml(recipe, {})))
    return path
