"""Predictions against the truth: the right pairs, the right classes, and a report."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.io.volumes import save_nifti, volume

from ushape.core.case import Geometry
from ushape.core.errors import ConfigError, DataError
from ushape.core.files import read_csv, read_json
from ushape.core.labels import Labels
from ushape.core.model_file import ModelHeader, write_model
from ushape.io.images import read_mask
from ushape.io.layouts import find_pairs
from ushape.io.outputs import Grid, write_mask
from ushape.io.partners import find_truth, name_classes
from ushape.nets.config import UNetConfig
from ushape.plan.data import DataConfig
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows.api import evaluate
from ushape.workflows.assess import MERGED
from ushape.workflows.baseline import threshold_baseline
from ushape.workflows.evaluate import EvaluateRequest, Evaluation, evaluate_folder
from ushape.workflows.judge import Measuring


def copy_masks(data: Path, out: Path, change: dict[int, int] | None = None) -> Path:
    out.mkdir()
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        for old, new in (change or {}).items():
            mask[mask == old] = new
        Image.fromarray(mask).save(out / path.name)
    return out


def copy_masks_of(masks: Path, out: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    out.mkdir()
    for path in masks.iterdir():
        Image.fromarray(change(read_mask(path))).save(out / path.name)
    return out


def test_the_truth_scored_against_itself_is_perfect(blobs: Path, tmp_path: Path) -> None:
    table = evaluate(copy_masks(blobs, tmp_path / "masks"), blobs, tmp_path / "scores")
    assert table.foreground_dice == 1
    assert len(table.cases) == 6
    assert {row["dice"] for row in read_csv(tmp_path / "scores" / "scores.csv")} == {"1.0"}
    assert read_json(tmp_path / "scores" / "summary.json")["foreground_mean"]["Dice"] == 1
    assert "data:image/png" in (tmp_path / "scores" / "report.html").read_text(encoding="utf-8")


def test_a_folder_of_masks_is_truth_enough(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    assert evaluate(predictions, blobs / "masks", tmp_path / "scores").foreground_dice == 1


def test_another_number_for_the_foreground_is_a_mistake_until_merged(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    Image.fromarray(read_mask(predictions / "case2.png") // 255).save(predictions / "case2.png")
    reason = r"masks/case2\.png: expected label values \[0, 255\] as in .*blobs/masks, got also 1; use --foreground"
    with pytest.raises(DataError, match=reason):
        evaluate(predictions, blobs)
    assert evaluate(predictions, blobs, foreground=True).foreground_dice == 1


def test_a_class_that_only_the_predictions_have_counts_against_them(blobs: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((blobs / "masks").iterdir())):
        Image.fromarray(read_mask(path) // 255 * np.uint8(1 + number % 2)).save(path)
    predictions = copy_masks(blobs, tmp_path / "masks")
    mask = read_mask(predictions / "case0.png")
    mask[:4] = 3
    Image.fromarray(mask).save(predictions / "case0.png")
    found = evaluate_folder(EvaluateRequest(predictions, blobs))
    assert "class_3" in {row.class_name for row in found.table.summaries()}
    assert found.table.foreground_dice < 1
    (warning,) = found.warnings
    assert re.search(r"masks/case0\.png: expected label values \[0, 1, 2\] as in .*blobs/masks, got also 3", warning)
    assert evaluate_folder(EvaluateRequest(blobs / "masks", blobs)).warnings == ()


def test_predictions_of_another_size_are_told(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(predictions / "case3.png")
    parts = r"5x5 of 1x1 px in .*masks/case3\.png and 40x48 of 1x1 px in .*blobs/masks/case3\.png; export the one"
    with pytest.raises(DataError, match=f"case3: expected two masks on one grid, got {parts}"):
        evaluate(predictions, blobs)


def test_masks_of_one_size_in_other_places_are_told_with_their_distance(tmp_path: Path) -> None:
    for name, origin in (("masks", 0.0), ("truth", 4.0)):
        affine = np.eye(4)
        affine[0, 3] = origin
        save_nifti(tmp_path / name / "a.nii.gz", volume(0, (4, 5, 6)) % 2, affine)
    with pytest.raises(DataError, match=r"a: expected two masks on one grid, got .*, 4 voxels apart; export the one"):
        evaluate(tmp_path / "masks", tmp_path / "truth")


def test_a_mask_whose_axes_run_the_other_way_is_turned(tmp_path: Path) -> None:
    values = volume(3, (4, 5, 6)) % 3
    save_nifti(tmp_path / "truth" / "a.nii.gz", values, np.eye(4))
    away = np.diag([-1.0, 1, 1, 1])
    away[0, 3] = values.shape[-1] - 1
    save_nifti(tmp_path / "masks" / "a.nii.gz", values[..., ::-1], away)
    measuring = Measuring(foreground=True, instances=True)
    scores = evaluate_folder(EvaluateRequest(tmp_path / "masks", tmp_path / "truth", measuring=measuring)).table
    assert scores.foreground_dice == 1
    assert scores.cases[0].instances is not None
    assert scores.cases[0].instances.aji == 1


def test_truth_without_a_prediction_is_left_out_if_that_is_asked_for(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    for number in (1, 4):
        (predictions / f"case{number}.png").unlink()
    with pytest.raises(DataError, match=r"none for case1\.png, case4\.png; .* leave them out with --only-predicted"):
        evaluate(predictions, blobs)
    found = evaluate_folder(EvaluateRequest(predictions, blobs, only_predicted=True))
    assert sorted(case.case_name for case in found.table.cases) == ["case0", "case2", "case3", "case5"]
    assert [path.name for path in found.left_out] == ["case1.png", "case4.png"]


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """True masks without an image, in a folder named as in a Decathlon task."""
    for name in "abc":
        save_nifti(tmp_path / "task" / "labelsTr" / f"{name}.nii.gz", volume(ord(name), (4, 5, 6)) % 3)
    return tmp_path / "task" / "labelsTr"


def names_of(found: Evaluation) -> set[str]:
    return {one.name for case in found.table.cases for one in case.classes}


def test_classes_are_named_by_the_data_set_the_truth_lies_in_or_by_a_model(two_classes: Path, tmp_path: Path) -> None:
    assert names_of(evaluate_folder(EvaluateRequest(two_classes, two_classes))) == {"background", "class_1", "class_2"}
    labels = Labels(names=("background", "head", "tail"), values=(0, 1, 2))
    recipe = Recipe(data=DataConfig(labels=labels), net=UNetConfig(ndim=2, in_channels=1, classes=3, widths=(4, 8)))
    model = tmp_path / "run" / "model.safetensors"
    write_model(model, {"a": torch.zeros(1)}, ModelHeader(recipe=to_toml(recipe, {})))
    by_model = EvaluateRequest(two_classes, two_classes, model=tmp_path / "run")
    assert names_of(evaluate_folder(by_model)) == {"background", "head", "tail"}
    merged = recipe.model_copy(update={"data": DataConfig(labels=Labels(merge="foreground"))})
    write_model(tmp_path / "merged.safetensors", {"a": torch.zeros(1)}, ModelHeader(recipe=to_toml(merged, {})))
    found = evaluate_folder(EvaluateRequest(two_classes, two_classes, model=tmp_path / "merged.safetensors"))
    assert found.warnings == (MERGED,)
    table = {"labels": {"0": "background", "1": "Anterior", "2": "Posterior"}, "training": []}
    (two_classes.parent / "dataset.json").write_text(json.dumps(table))
    assert names_of(evaluate_folder(EvaluateRequest(two_classes, two_classes))) == {
        "background",
        "Anterior",
        "Posterior",
    }
    assert names_of(evaluate_folder(by_model)) == {"background", "head", "tail"}
    elsewhere = two_classes.rename(two_classes.with_name("derived"))
    assert "class_1" in names_of(evaluate_folder(EvaluateRequest(elsewhere, elsewhere)))


def test_names_for_masks_that_have_a_folder_for_each_class_are_the_folders_names(tmp_path: Path) -> None:
    for name in ("head", "tail"):
        save_nifti(tmp_path / "truth" / name / "a.nii.gz", volume(len(name), (4, 5, 6)) % 2)
    truth = find_truth(tmp_path / "truth")
    files = Labels(names=("background", "tail", "head"), values=(0, 1, 2), overlap="files")
    assert name_classes(truth, files, "m").labels == truth.labels
    for other in (Labels(), files.model_copy(update={"names": ("background", "tail", "neck")})):
        with pytest.raises(DataError, match=r"m: expected the classes .*, got head, tail; leave out --model"):
            name_classes(truth, other, "m")


@pytest.mark.parametrize("missing", ["prediction", "truth"])
def test_a_file_without_partner_is_told(blobs: Path, tmp_path: Path, missing: str) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    (predictions if missing == "prediction" else blobs / "masks").joinpath("case3.png").unlink()
    with pytest.raises(DataError, match=r"case3\.png"):
        evaluate(predictions, blobs)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Two true masks of two objects each, numbered as they come."""
    folder = tmp_path / "numbered"
    folder.mkdir()
    for name, values in {"a": (3, 9), "b": (1, 300)}.items():
        mask = np.zeros((12, 12), dtype=np.uint16)
        mask[1:5, 1:5], mask[6:10, 6:10] = values
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


def test_objects_are_counted_whatever_their_numbers(numbered: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "masks"
    predictions.mkdir()
    for path in numbered.iterdir():
        mask = read_mask(path)
        found = np.where(mask == mask.max(), 7, 0)
        found[1:5, 1:4] = 2  # three quarters of the other object
        Image.fromarray(found.astype(np.uint8)).save(predictions / path.name)
    measures = {one.measure: one.mean for one in evaluate(predictions, numbered, instances=True).summaries()}
    assert (measures["ap_70"], measures["ap_75"], measures["aji"]) == (1, pytest.approx(1 / 3), 28 / 32)
    assert measures["mean_ap"] == pytest.approx((5 * 1 + 5 / 3) / 10)


def test_classes_taken_for_objects_are_refused_until_split_into_components(numbered: Path, tmp_path: Path) -> None:
    predictions = copy_masks_of(numbered, tmp_path / "masks", lambda mask: (mask > 0).astype(np.uint8) * 255)
    with pytest.raises(DataError, match=r"at most one number in every file; .* add --components"):
        evaluate(predictions, numbered, instances=True)
    found = evaluate_folder(
        EvaluateRequest(predictions, numbered, measuring=Measuring(instances=True, components=True))
    )
    assert [case.instances.mean_ap for case in found.table.cases if case.instances] == [1, 1]


def test_two_folders_are_compared_on_the_cases_that_both_have(blobs: Path, tmp_path: Path) -> None:
    good = copy_masks_of(blobs / "masks", tmp_path / "good", lambda mask: mask)
    bad = copy_masks_of(blobs / "masks", tmp_path / "bad", lambda mask: np.roll(mask, 2, axis=0))
    (bad / "case0.png").unlink()
    (good / "case5.png").unlink()
    out = tmp_path / "out"
    found = evaluate_folder(EvaluateRequest(good, blobs, out, against=bad)).comparison
    assert found is not None
    assert (found.only_first, found.only_second, len(found.cases)) == (("case0",), ("case5",), 4)
    dice = next(one for one in found.differences if (one.class_name, one.measure) == ("foreground", "dice"))
    assert (dice.mean, dice.better, dice.worse) == (1, 4, 0)
    assert len(read_csv(out / "comparison.csv")) == len(found.differences)
    assert len(read_json(out / "scores.json")["comparison"]["differences"]) == len(found.differences)
    assert "good beside bad" in (out / "report.html").read_text(encoding="utf-8")
    (good / "case0.png").unlink()
    with pytest.raises(DataError, match=r"a prediction for each true mask, got none in either folder for case0\.png"):
        evaluate_folder(EvaluateRequest(good, blobs, against=bad))


def test_the_worst_case_comes_first_in_every_file(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    Image.fromarray(np.roll(read_mask(predictions / "case3.png"), 5, axis=1)).save(predictions / "case3.png")
    table = evaluate(predictions, blobs, tmp_path / "out")
    assert table.cases[0].case_name == "case3"
    for name in ("scores.csv", "cases.csv"):
        assert read_csv(tmp_path / "out" / name)[0]["case"] == "case3"
    data = read_json(tmp_path / "out" / "scores.json")
    assert data["cases"][0]["case"] == data["classes"][0]["case"] == "case3"


def test_a_tolerance_stands_in_the_name_of_its_column(blobs: Path, tmp_path: Path) -> None:
    measuring = Measuring(tolerance=3.0, boundary_tolerance=0.5)
    found = evaluate_folder(EvaluateRequest(copy_masks(blobs, tmp_path / "masks"), blobs, measuring=measuring))
    assert {"nsd_3px", "boundary_f1_0.5px"} <= set(found.table.class_measures)


@pytest.mark.parametrize("made", [{"tolerance": -1.0}, {"boundary_tolerance": math.nan}, {"components": True}])
def test_measuring_that_makes_no_sense_is_refused(made: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"^--[a-z-]+: expected"):
        Measuring(**made)


def test_empty_folders_and_unknown_values_are_told(blobs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for pair in ((tmp_path / "empty", blobs), (blobs / "masks", tmp_path / "empty")):
        with pytest.raises(DataError, match="empty"):
            evaluate(*pair)
    with pytest.raises(DataError, match="expected a folder of predicted masks, got nothing"):
        evaluate(tmp_path / "nowhere", blobs)


def test_a_threshold_finds_bright_discs_and_gives_a_score_to_beat(blobs: Path) -> None:
    baseline = threshold_baseline(find_pairs(blobs), Labels())
    assert 0.5 < baseline.dice <= 1


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_masks_of_tiffs_with_a_voxel_size_are_measured_in_mm(tmp_path: Path, name: str) -> None:
    cube = np.zeros((6, 16, 16), np.uint8)
    cube[2:4, 4:8, 4:8] = 1
    geometry = Geometry.sized((3.0, 0.5, 0.5))
    write_mask(tmp_path / "true" / name, cube)
    write_mask(tmp_path / "found" / name, np.roll(cube, 1, axis=0), grid=Grid(geometry))
    evaluate(tmp_path / "found", tmp_path / "true", tmp_path / "scores")
    text = "".join(path.read_text() for path in (tmp_path / "scores").glob("*.csv"))
    assert "hd95_mm" in text
    assert ",3.0," in text
