"""Fine-tuning: a training that starts from a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import Heard, fit_tiny, weights

from ushape.core.errors import ConfigError, ModelFileError
from ushape.core.events import Message
from ushape.core.model_file import join_members, read_header, write_model
from ushape.io.images import read_mask
from ushape.plan.recipe import read_recipe
from ushape.train.run_folder import RunFolder

STILL = {"train.optim.lr": 1e-12, "train.epochs": 1, "train.steps_per_epoch": 1, "train.average": 0}
OTHER = {**STILL, "train.seed": 5}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("model")
    return fit_tiny(write_blobs(folder / "blobs"), folder / "run", {"net.widths": [4, 12], "net.block.norm": "batch"})


def tuned(data: Path, output: Path, start: Path, listener: Heard, **more: object) -> RunFolder:
    """Train with another net in mind than the model's, were it not for the model."""
    from ushape.workflows.design import FitRequest
    from ushape.workflows.fit import fit

    changes = {"train.minutes": "none", "train.precision": "float32", "train.layout": "contiguous", "train.threads": 1}
    request = FitRequest(data, output, None, {**changes, **OTHER, "train.start": str(start), **more})
    return fit(request, listener)


def test_the_net_and_its_weights_are_those_of_the_model(blobs: Path, tmp_path: Path, model: RunFolder) -> None:
    heard = Heard()
    run = tuned(blobs, tmp_path / "run", model.path, heard)
    assert read_recipe(read_header(run.model).recipe, "model").net.widths == (4, 12)
    ours, theirs = weights(run), weights(model)
    learnt = [name for name in theirs if "running" not in name and "tracked" not in name]
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in learnt)
    assert any(f"starting from {model.path}: {len(theirs)} tensors taken" == m.text for m in heard.of(Message))
    assert str(tmp_path).encode() not in run.model.read_bytes()


def test_other_classes_get_a_new_head_and_keep_the_rest(tmp_path: Path, model: RunFolder) -> None:
    data, heard = write_blobs(tmp_path / "blobs"), Heard()
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        mask[:, 24:][mask[:, 24:] > 0] = 9
        Image.fromarray(mask).save(path)
    run = tuned(data, tmp_path / "run", model.model, heard)
    ours, theirs = weights(run), weights(model)
    assert ours["heads.0.weight"].shape[0] == 3
    learnt = [name for name in theirs if "running" not in name and "tracked" not in name and "heads" not in name]
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-9) for name in learnt)
    assert any("new, since the classes differ: heads.0.weight, heads.0.bias" in m.text for m in heard.of(Message))


def test_gray_images_fill_the_channels_of_a_model_for_colours(tmp_path: Path, blobs: Path) -> None:
    data = write_blobs(tmp_path / "colours", count=3)
    for path in (data / "images").iterdir():
        with Image.open(path) as picture:
            gray = np.asarray(picture)
        Image.fromarray(np.stack([gray, gray // 2, gray // 3], axis=-1)).save(path)
    model = fit_tiny(data, tmp_path / "model", STILL)
    run = tuned(blobs, tmp_path / "run", model.path, Heard())
    assert read_recipe(run.recipe.read_text(encoding="utf-8"), "run").data.channels == 3


def test_a_net_that_does_not_fit_is_refused_by_its_keys(blobs: Path, tmp_path: Path, model: RunFolder) -> None:
    with pytest.raises(ModelFileError, match=r"--from .*: the weights do not fit this network; .*encoder\.levels\.1"):
        tuned(blobs, tmp_path / "run", model.path, Heard(), **{"net.widths": [4, 8]})
    assert not (tmp_path / "run").exists()


def test_an_ensemble_is_no_start(blobs: Path, tmp_path: Path, model: RunFolder) -> None:
    from dataclasses import replace

    header = replace(read_header(model.model), members=2)
    write_model(tmp_path / "two.safetensors", join_members([weights(model), weights(model)]), header)
    with pytest.raises(ConfigError, match="expected one net, got an ensemble of 2; give one of its folds"):
        tuned(blobs, tmp_path / "run", tmp_path / "two.safetensors", Heard())
