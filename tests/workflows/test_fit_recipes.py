"""The recipes of the guides: their numbers are those of the guides, and they run as they stand."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.conftest import write_blobs

from ushape.core.config import with_fields
from ushape.core.errors import ConfigError
from ushape.core.events import ignore_events
from ushape.core.files import read_csv
from ushape.nets.cost import measure_cost
from ushape.plan.recipe import Recipe, list_settings, overlay_recipe, read_recipe
from ushape.plan.toml import parse_toml
from ushape.train.schedule import Cyclic, Fixed, Plateau
from ushape.workflows.design import FitRequest, value_at
from ushape.workflows.fit import fit

RECIPES = {path.stem.removeprefix("tutorial-"): path for path in (Path(__file__).parents[2] / "recipes").glob("*.toml")}
ADAM = {"train.optim.optimizer": "adam", "train.optim.lr": 1e-4, "train.epochs": 100, "train.minutes": "none"}
EXACT: dict[str, dict[str, Any]] = {
    "pitfalls": {
        **ADAM,
        "loss.terms": {"bce": 0.5, "dice": 0.5},
        "loss.dice.smooth": 1e-6,
        "train.optim.schedule": Cyclic(low=0.1, half_cycle=200),
        "train.patience": 10,
        "train.clip": 1.0,
        "augment.warp.elastic_affine": 3.6,
        "augment.warp.grid_distortion": 0.5,
        "augment.shade.gamma_range": (0.8, 1.2),
        "net.block.norm": "batch",
        "net.up": "linear",
    },
    "modular": {**ADAM, "loss.terms": {"dice": 1.0}, "patches.batch": 8, "train.optim.schedule": Fixed()},
    "vgg16": {
        **ADAM,
        "loss.terms": {"bce": 0.7, "dice": 0.3},
        "loss.dice.smooth": 1e-5,
        "net.encoder": "vgg16",
        "net.block.norm": "none",
        "train.optim.schedule": Plateau(on="dice", drop=0.1, patience=5),
        "train.precision": "auto",
    },
    "attention-3d": {
        **ADAM,
        "net.widths": (64, 128, 256, 512),
        "prep.resample.spacing": (1.0, 1.0, 1.0),
        "patches.size": (128, 128, 128),
        "augment.warp.degrees": 15.0,
    },
    "course": {
        **ADAM,
        "loss.terms": {"ce": 0.5, "dice": 0.5},
        "train.optim.schedule": Plateau(on="loss", drop=0.5, patience=10),
        "net.block.padding": "valid",
    },
}
WEIGHTS = {"pitfalls": 17_261_825, "modular": 13_394_177, "course": 31_030_658}
SMALL: dict[str, Any] = {
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "patches.batch": 2,
    "train.threads": 1,
    "train.layout": "contiguous",
}
SIZES: dict[str, dict[str, Any]] = {
    # float32: on grids of 2 x 2 x 2 voxels oneDNN's gradient of a 3D convolution's weights in bf16 is sometimes NaN
    "attention-3d": {"patches.size": [16, 16, 16], "predict.window.size": [24, 24, 24], "train.precision": "float32"},
    "course": {"patches.size": [188, 188], "patches.batch": 1, "predict.window.size": [236, 236]},
    "vgg16": {"patches.size": [32, 32], "train.precision": "bf16"},
}


def load(name: str) -> Recipe:
    table = parse_toml(RECIPES[name].read_text(encoding="utf-8"), name)
    ndim = table["net"]["ndim"]
    sizes = {"net.ndim": ndim, "patches.size": [64] * ndim, "predict.window.size": [64] * ndim}
    return overlay_recipe(with_fields(Recipe(), sizes), table, name)


def write_balls(folder: Path, count: int = 4) -> Path:
    """Bright balls in noise, in slices of 2 mm."""
    rng, grid = np.random.default_rng(3), np.indices((12, 20, 20)) - np.array([6, 10, 10]).reshape(3, 1, 1, 1)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        ball = (grid[0] * 2) ** 2 + grid[1] ** 2 + grid[2] ** 2 < (4 + number) ** 2
        image = (ball * 100 + rng.normal(0, 20, ball.shape)).astype(np.int16)
        for kind, values in (("images", image), ("labels", ball.astype(np.uint8))):
            nib.save(nib.Nifti1Image(values.T, np.diag([1, 1, 2, 1])), folder / kind / f"{number}.nii.gz")
    return folder


def test_there_is_a_recipe_for_every_guide() -> None:
    assert set(RECIPES) == set(EXACT)


@pytest.mark.parametrize("name", EXACT)
def test_the_numbers_are_those_of_the_guide(name: str) -> None:
    recipe = load(name)
    assert {field: value_at(recipe, field) for field in EXACT[name]} == EXACT[name]
    if name in WEIGHTS:
        assert measure_cost(recipe.net, recipe.patches.size).parameters == WEIGHTS[name]


def test_gates_work_on_128_of_256_channels_and_else_on_a_quarter() -> None:
    gate = load("attention-3d").net.gate
    assert [gate.width(skip) for skip in (64, 128, 256)] == [16, 32, 128]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_a_recipe_runs_from_its_file_and_its_comments_are_the_reasons(name: str, tmp_path: Path) -> None:
    write = write_balls if name.endswith("3d") else write_blobs
    data, changes = write(tmp_path / "data", 4), {**SMALL, "patches.size": [32, 32], **SIZES.get(name, {})}
    run = fit(FitRequest(data, tmp_path / "run", RECIPES[name], changes), ignore_events)
    written = RECIPES[name].read_text(encoding="utf-8")
    assert [row["step"] for row in read_csv(run.metrics)] == ["2"]
    text = run.recipe.read_text(encoding="utf-8")
    assert value_at(read_recipe(text, name), "train.optim.schedule") == load(name).train.optim.schedule
    theirs, ours = ({field: why for field, _, why in list_settings(each)} for each in (written, text))
    assert theirs["net.widths"] == ours["net.widths"]
    assert theirs["patches.batch"]
    assert ours["patches.batch"] == "set on the command line"


def test_a_recipe_for_volumes_says_that_pictures_are_none(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"net\.ndim: expected 2, since the images are pictures"):
        fit(FitRequest(blobs, tmp_path / "run", RECIPES["attention-3d"], SMALL), ignore_events)
