"""Volumes through the whole flow: whatever preparing did, masks lie on the images' own grids and are scored there."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.train.tiny import Heard, fit_tiny

from ushape.core.errors import ConfigError
from ushape.core.events import Message
from ushape.core.files import read_json
from ushape.io.images import read_mask
from ushape.plan.recipe import read_recipe
from ushape.train.run_folder import RunFolder
from ushape.workflows.assess import assess
from ushape.workflows.infer import OutputOptions, predict_files
from ushape.workflows.model import load

SPACINGS = ((1.0, 1.0, 3.0), (1.2, 1.0, 3.0), (1.0, 1.4, 2.5), (1.0, 1.0, 3.3))  # x, y, z as in NIfTI
LEARN = {"train.epochs": 4, "train.steps_per_epoch": 15, "train.optim.lr": 0.02, "data.validation": 0.5}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright balls in an empty margin, on grids of many spacings; every other one runs towards left and posterior."""
    folder = tmp_path_factory.mktemp("volumes") / "balls"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number, spacing in enumerate(SPACINGS):
        size = (30 + number, 34, 14)
        places = np.meshgrid(*[np.arange(n) * step for n, step in zip(size, spacing, strict=True)], indexing="ij")
        centre = [n * step / 2 for n, step in zip(size, spacing, strict=True)]
        distance = np.sqrt(sum((place - middle) ** 2 for place, middle in zip(places, centre, strict=True)))
        ball, head = distance < 8, distance < 14
        noise = np.random.default_rng(number).normal(0, 5, size)
        image = np.where(head, 100 + 80 * ball + noise, 0).astype(np.float32)
        turn = np.diag([-1.0, -1.0, 1.0, 1.0]) if number % 2 else np.eye(4)
        affine = turn @ np.diag([*spacing, 1.0])
        for kind, array in (("images", image), ("labels", ball.astype(np.uint8))):
            nibabel.save(nibabel.Nifti1Image(array, affine), folder / kind / f"ball{number}.nii.gz")
    return folder


def train(volumes: Path, output: Path, changes: dict[str, Any]) -> tuple[RunFolder, Heard]:
    heard = Heard()
    return fit_tiny(volumes, output, {**LEARN, **changes}, heard), heard


def check_run(run: RunFolder, volumes: Path) -> None:
    """Check that the held-out masks lie where the images do, and that their scores are those of the files."""
    held_out = read_json(run.splits)["validation"]
    masks = sorted(run.predictions.iterdir())
    assert [path.name for path in masks] == [f"{name}.nii.gz" for name in held_out]
    for path in masks:
        mask, image = nibabel.load(path), nibabel.load(volumes / "images" / path.name)
        assert mask.shape == image.shape
        assert np.array_equal(mask.affine, image.affine)
    found = assess(run.predictions, only(held_out, volumes / "labels", run.path / "truth")).table
    scores = read_json(run.path / "scores.json")
    assert scores["mean_foreground_dice"] == pytest.approx(found.foreground_dice, abs=1e-9)
    assert found.foreground_dice > 0.5
    assert "hd95_mm" in found.class_measures


def only(names: list[str], labels: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.nii.gz").symlink_to(labels / f"{name}.nii.gz")
    return folder


def test_cropped_resampled_turned_volumes_come_back_on_their_own_grids(volumes: Path, tmp_path: Path) -> None:
    run, heard = train(volumes, tmp_path / "run", {"patches.size": [12, 32, 32], "predict.window.size": [12, 32, 32]})
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe")
    assert (recipe.prep.orientation, recipe.prep.crop) == ("canonical", "nonzero")
    assert recipe.prep.resample.spacing != "none"
    check_run(run, volumes)
    assert not [message for message in heard.of(Message) if message.level == "warning"]


def test_a_2d_net_trains_on_slices_and_predicts_volumes(volumes: Path, tmp_path: Path) -> None:
    run, _ = train(volumes, tmp_path / "run", {"net.ndim": 2})
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe")
    assert (recipe.net.ndim, len(recipe.patches.size)) == (2, 2)
    check_run(run, volumes)
    source = volumes / "images" / "ball1.nii.gz"
    (mask,) = predict_files(load(run.path, mirror=True), source, tmp_path / "out", OutputOptions()).written
    assert read_mask(mask).shape == read_mask(volumes / "labels" / "ball1.nii.gz").shape


def test_a_3d_net_for_pictures_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"net\.ndim: expected 2, since the images are pictures, got 3"):
        fit_tiny(blobs, tmp_path / "run", {"net.ndim": 3})
