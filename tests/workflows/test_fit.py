"""Every kind of data and net that a recipe can name trains, and its model predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import Heard, fit_tiny, weights

from ushape.core.errors import ConfigError, DataError, ShapeError
from ushape.core.events import Message
from ushape.io.images import read_mask
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.plan.recipe import read_recipe
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import predict_files
from ushape.workflows.model import load

GATED = {"net.skip": "gate", "loss.gates.weight": 0.5}
UNPADDED = {
    "net.block.padding": "valid",
    "net.align": "crop",
    "patches.size": [44, 36],
    "predict.window.size": [36, 44],
}
NETS: dict[str, dict[str, Any]] = {
    "unpadded convolutions": UNPADDED,
    "deep supervision": {"net.deep_supervision": True, "net.widths": [4, 8, 8]},
    "the sum of all levels, supervised": {"net.fusion": "sum", "net.deep_supervision": True, "net.widths": [4, 8, 8]},
    "attention gates with a loss of their own": GATED,
    "gates over a pyramid": {**GATED, "net.fusion": "pyramid", "net.deep_supervision": True, "net.widths": [4, 8, 8]},
    "a transformer at the bottleneck": {
        "net.bottleneck": "transformer",
        "net.transformer": {"width": 8, "depth": 1, "heads": 2, "hidden": 8, "grid": 4},
    },
    "recomputed activations and bf16": {"net.checkpointing": True, "train.precision": "bf16"},
    "residual blocks, instance norm, linear upsampling": {
        "net.block.residual": True,
        "net.block.norm": "instance",
        "net.up": "linear",
    },
    "windows in batches, mirrored": {
        "predict.window.batch": 3,
        "predict.mirror": True,
        "predict.window.size": [16, 16],
    },
}


def predict_all(run: Path, data: Path, out: Path) -> dict[str, np.ndarray]:
    result = predict_files(load(run), data, out, OutputOptions())
    assert not result.failed
    return {path.stem: read_mask(path) for path in result.written}


@pytest.mark.parametrize("changes", NETS.values(), ids=NETS)
def test_a_net_of_any_kind_trains_and_predicts(blobs: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    run = fit_tiny(blobs, tmp_path / "run", {"train.epochs": 1, "train.steps_per_epoch": 2, **changes})
    masks = predict_all(run.path, blobs, tmp_path / "out")
    assert {mask.shape for mask in masks.values()} == {(40, 48)}


def test_a_sigmoid_head_with_bce_and_dice_trains_and_predicts(blobs: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "sigmoid.toml"
    recipe.write_text('head = "sigmoid"\n[net]\nclasses = 1\n[loss]\nbce = {}\ndice = {}\n', encoding="utf-8")
    learnt = {"train.epochs": 5, "train.steps_per_epoch": 12, "train.optim.lr": 0.02}
    run = fit_tiny(blobs, tmp_path / "run", learnt, recipe=recipe)
    assert read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe").loss.terms == {"bce": 1, "dice": 1}
    found = predict_all(run.path, blobs, tmp_path / "out")["case0"]
    true = read_mask(blobs / "masks" / "case0.png")
    assert set(np.unique(found)) == {0, 255}
    assert 2 * ((found > 0) & (true > 0)).sum() / ((found > 0).sum() + (true > 0).sum()) > 0.7


def test_a_pretrained_encoder_starts_from_its_file_and_the_model_forgets_where_that_was(
    blobs: Path, tmp_path: Path
) -> None:
    changes = {"net.encoder": "vgg16", "net.widths": [4, 8], "train.epochs": 1, "train.steps_per_epoch": 1}
    encoder = UNet(UNetConfig(encoder="vgg16", widths=(4, 8))).encoder
    torch.save(encoder.state_dict(), tmp_path / "vgg16.pth")
    changes |= {"net.encoder_weights": str(tmp_path / "vgg16.pth"), "net.freeze_encoder": True}
    run = fit_tiny(blobs, tmp_path / "run", changes)
    trained = weights(run)
    assert all(torch.equal(trained[f"encoder.{name}"], value) for name, value in encoder.state_dict().items())
    assert str(tmp_path).encode() not in run.model.read_bytes()
    (tmp_path / "vgg16.pth").unlink()
    assert predict_all(run.path, blobs, tmp_path / "out")


def test_a_gate_loss_without_gates_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loss\.gates: expected a net with attention gates, got none"):
        fit_tiny(blobs, tmp_path / "run", {"loss.gates.weight": 1})
    assert not (tmp_path / "run").exists()


def test_a_gate_loss_behind_unpadded_convolutions_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r'loss\.gates: .* set net\.block\.padding = "same"'):
        fit_tiny(blobs, tmp_path / "run", {**UNPADDED, **GATED})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["patches.size", "predict.window.size"])
def test_sizes_that_unpadded_convolutions_cannot_take_are_refused(blobs: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: .* unpadded convolutions, got 33; nearest: .* 32 or 34"):
        fit_tiny(blobs, tmp_path / "run", {**UNPADDED, name: [33, 44]})


def test_instance_maps_train_as_foreground_on_request_and_the_program_says_so(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs")
    rng = np.random.default_rng(0)
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        Image.fromarray(np.where(mask > 0, rng.integers(1, 500, mask.shape), 0).astype(np.uint16)).save(path)
    with pytest.raises(DataError, match=r"this looks like an instance map, .*; use ushape train --foreground"):
        fit_tiny(data, tmp_path / "refused")
    heard = Heard()
    run = fit_tiny(data, tmp_path / "run", listener=heard, foreground=True)
    assert any("values, trained as foreground against background" in message.text for message in heard.of(Message))
    assert set(np.unique(np.stack(list(predict_all(run.path, data, tmp_path / "out").values())))) <= {0, 255}


def test_several_classes_come_back_with_their_own_values_in_a_palette(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs")
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        mask[:, 24:][mask[:, 24:] > 0] = 9
        mask[mask == 255] = 4
        Image.fromarray(mask).save(path)
    run = fit_tiny(data, tmp_path / "run", {"train.steps_per_epoch": 20, "train.optim.lr": 0.02})
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe")
    assert (recipe.data.labels.values, recipe.net.classes) == ((0, 4, 9), 3)
    (path,) = predict_files(load(run.path), data / "images" / "case0.png", tmp_path / "out", OutputOptions()).written
    assert set(np.unique(read_mask(path))) <= {0, 4, 9}
    with Image.open(path) as picture:
        assert picture.mode == "P"


def test_gray_images_among_coloured_ones_train_together(tmp_path: Path) -> None:
    data, heard = write_blobs(tmp_path / "blobs"), Heard()
    for number in (1, 3):
        with Image.open(data / "images" / f"case{number}.png") as picture:
            gray = np.asarray(picture)
        Image.fromarray(np.stack([gray, gray // 2, gray // 3], axis=-1)).save(data / "images" / f"case{number}.png")
    run = fit_tiny(data, tmp_path / "run", listener=heard)
    assert "3 channels" in heard.of(Message)[0].text
    assert len(predict_all(run.path, data, tmp_path / "out")) == 6


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 7)])
def test_a_mask_comes_back_with_the_values_it_was_trained_on(tmp_path: Path, values: tuple[int, int]) -> None:
    data = write_blobs(tmp_path / "blobs", value=values[1])
    run = fit_tiny(data, tmp_path / "run", {"train.epochs": 1, "train.steps_per_epoch": 1})
    found = set(np.unique(np.stack(list(predict_all(run.path, data, tmp_path / "out").values()))))
    assert found <= set(values)


def test_images_of_many_sizes_types_and_formats_train_together(tmp_path: Path) -> None:
    data, rng = tmp_path / "mixed", np.random.default_rng(0)
    for kind in ("images", "labels"):
        (data / kind).mkdir(parents=True)
    for number, (size, dtype) in enumerate([((20, 60), np.uint8), ((70, 33), np.uint16), ((1, 50), np.uint8)]):
        mask = rng.random(size) > 0.5
        image = (mask * 100 + rng.integers(0, 50, size)).astype(dtype)
        tifffile.imwrite(data / "images" / f"{number}.tif", image)
        Image.fromarray(mask).save(data / "labels" / f"{number}_mask.png")
    run = fit_tiny(data, tmp_path / "run", {"train.epochs": 1})
    masks = predict_all(run.path, data, tmp_path / "out")
    assert [masks[str(number)].shape for number in range(3)] == [(20, 60), (70, 33), (1, 50)]


def test_patients_are_never_split(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs", count=6)
    for number in range(6):
        for kind in ("images", "masks"):
            (data / kind / f"case{number}.png").rename(data / kind / f"p{number // 2}_{number}.png")
    run = fit_tiny(data, tmp_path / "run", {"data.groups": "^p[0-9]", "data.validation": 0.34})
    held_out = {path.stem[:2] for path in run.predictions.iterdir()}
    assert len(held_out) == 1
    assert len(list(run.predictions.iterdir())) == 2
