"""Classes that may overlap, one mask file for each: from the data set to masks, scores and a report."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.io.volumes import save_nifti, volume
from tests.train.tiny import fit_tiny
from tests.workflows.identity import Bright, expected, identity_model

from ushape.core.case import Case, Geometry
from ushape.core.config import parse_config
from ushape.core.errors import ConfigError, DataError
from ushape.core.files import read_csv
from ushape.core.labels import Labels
from ushape.core.model_file import read_header
from ushape.io.images import read_image, read_mask
from ushape.patches.augment import AugmentConfig, augment
from ushape.patches.sampler import PatchConfig, cut_step, draw_step
from ushape.patches.store import Store, write_case, write_index
from ushape.plan.recipe import Recipe, read_recipe
from ushape.predict.predictor import decide
from ushape.workflows.api import evaluate
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import predict_files
from ushape.workflows.model import load

LABELS = Labels(names=("background", "whole", "core"), values=(0, 1, 2), overlap="files")


def write_rings(folder: Path, count: int = 6) -> Path:
    """Discs with a brighter core: the core belongs to both classes."""
    rng = np.random.default_rng(5)
    rows, cols = np.indices((40, 48))
    for name in ("images", "masks/whole", "masks/core"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        centre, radius = rng.uniform(14, 26, 2), rng.uniform(8, 11)
        away = np.hypot(rows - centre[0], cols - centre[1])
        image = np.clip(50 + 80 * (away < radius) + 80 * (away < 0.65 * radius) + rng.normal(0, 8, away.shape), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"case{i}.png")
        for name, reach in (("whole", radius), ("core", 0.65 * radius)):
            mask = (away < reach).astype(np.uint8) * np.uint8(255 if name == "whole" else 1)
            Image.fromarray(mask).save(folder / "masks" / name / f"case{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlap")
    learnt = {"train.epochs": 5, "train.steps_per_epoch": 24, "train.optim.lr": 0.02}
    return fit_tiny(write_rings(folder / "data"), folder / "run", learnt).path


def test_a_training_plans_a_channel_and_a_threshold_for_each_class_and_learns_both(run: Path) -> None:
    recipe = read_recipe((run / "recipe.toml").read_text(encoding="utf-8"), "recipe")
    assert (recipe.head, recipe.net.classes, recipe.predict.threshold) == ("sigmoid", 2, (0.5, 0.5))
    assert set(recipe.loss.terms) == {"bce", "dice"}
    score = read_header(run / "model.safetensors").score
    assert score is not None
    assert list(score["dice"]) == ["core", "whole"]
    assert min(score["dice"].values()) > 0.6
    assert {row["class"] for row in read_csv(run / "scores.csv")} == {"core", "whole"}
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "data:image/png" in report


def test_masks_are_written_as_the_data_set_has_them_and_measured_against_it(run: Path, tmp_path: Path) -> None:
    data, out = run.parent / "data", tmp_path / "out"
    model = load(run)
    result = predict_files(model, data, out, OutputOptions(overlays=True, probabilities=True))
    assert len(result.written) == 12
    whole, core = (read_mask(out / name / "case0.png") > 0 for name in ("whole", "core"))
    assert (whole & core).any()
    probabilities = read_image(out / "probabilities" / "case0.tif")
    assert np.array_equal(probabilities[1] >= 0.5, core)
    assert np.array_equal(probabilities[2] >= 0.5, whole)
    table = evaluate(out, data, tmp_path / "scores")
    assert table.foreground_dice > 0.6
    assert {row.class_name for row in table.summaries()} >= {"whole", "core"}
    assert evaluate(out, data / "masks").foreground_dice == pytest.approx(table.foreground_dice)
    assert evaluate(data / "masks", data).foreground_dice == 1
    again = predict_files(model, data, out, OutputOptions(skip_existing=True))
    assert (again.written, len(again.skipped)) == ((), 6)
    few, many = (load(run, threshold=value).predict(data / "images" / "case0.png").label.sum() for value in (0.9, 0.1))
    assert few < many


def test_classes_become_one_where_that_is_asked_for(run: Path, tmp_path: Path) -> None:
    model = load(fit_tiny(run.parent / "data", tmp_path / "merged", {"train.epochs": 1}, foreground=True).path)
    assert model.recipe.data.labels.merge == "foreground"
    with pytest.raises(
        DataError, match=r"case.\.png: expected one mask a case for these labels, got 2; set data\.labels"
    ):
        fit_tiny(run.parent / "data", tmp_path / "wrong", {"data.labels.values": [0, 1], "data.labels.overlap": "none"})


class Nested(Bright):
    """Gray and white are whole, white is core."""

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        none, gray, white = np.moveaxis(super().__call__(windows), 1, 0)
        return np.stack([none, gray + white, white], axis=1)


def test_volumes_keep_their_classes_apart_through_patches_and_files(tmp_path: Path) -> None:
    values = volume(0, (6, 7, 8))
    label = np.stack([values > 50, values > 80])
    write_case(tmp_path, "0", Case("a", values[None].astype(np.float32), Geometry.pixels(3), label))
    write_index(tmp_path, [("a", "0")])
    store, config = Store(tmp_path), PatchConfig(size=(4, 4, 4), batch=3)
    assert sorted(store[0].locations) == [1, 2]
    images, labels = cut_step(store, draw_step(0, 0, store.contents, config), config)
    assert (labels.dtype, labels.shape) == (np.bool_, (3, 2, 4, 4, 4))
    still = AugmentConfig.model_validate({"warp": {"rotation": 0, "scale": 0}})
    image, moved = augment(torch.from_numpy(images), torch.from_numpy(labels), still, (1, 2))
    turned = AugmentConfig.model_validate({"warp": {"rotation": 1.0}})
    assert augment(image, moved, turned, (1, 2))[1].dtype == torch.bool
    assert np.array_equal(labels, np.stack([images[:, 0] > 50, images[:, 0] > 80], axis=1))


def test_a_volume_gets_a_nifti_for_each_class(tmp_path: Path) -> None:
    model = identity_model(3, LABELS)
    model.engine = Nested()
    values = volume(0, (6, 7, 8))
    source = save_nifti(tmp_path / "in" / "scan.nii.gz", values, np.diag([-1.0, 2, 3, 1]))
    result = predict_files(model, source, tmp_path / "out", OutputOptions())
    assert [path.relative_to(tmp_path).as_posix() for path in result.written] == [
        "out/whole/scan.nii.gz",
        "out/core/scan.nii.gz",
    ]
    for path, mask in zip(result.written, (values > 50, values > 80), strict=True):
        assert np.array_equal(read_mask(path) > 0, mask)
    assert expected(values).max() == 255


def test_each_class_has_its_own_threshold() -> None:
    probabilities = np.array([[0.4, 0.1], [0.6, 0.3], [0.6, 0.3]], dtype=np.float32)
    assert decide(probabilities, (0.5, 0.2)).tolist() == [[True, False], [True, True]]
    with pytest.raises(ConfigError, match="expected 2, one per class, got 1"):
        decide(probabilities, (0.5,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "softmax"}, "classes that may overlap need head 'sigmoid'"),
        ({"predict": {"threshold": "argmax"}}, "needs 2 numbers, one for each class"),
        ({"predict": {"threshold": [0.5]}}, "needs 2 numbers, one for each class"),
        ({"predict": {"threshold": [0.5, 0.5], "postprocess": [{"name": "largest"}]}}, "exclude each other"),
        ({"data": {}}, "head 'sigmoid' needs|net.classes must be 1"),
    ],
)
def test_recipes_that_cannot_overlap_are_refused(changes: dict[str, object], message: str) -> None:
    table = {
        "head": "sigmoid",
        "data": {"labels": LABELS.model_dump()},
        "net": {"classes": 3 if changes.get("head") == "softmax" else 2},
        "loss": {"bce": {}},
        "predict": {"threshold": [0.5, 0.5]},
        **changes,
    }
    with pytest.raises(ConfigError, match=message):
        parse_config(Recipe, table, "recipe")
