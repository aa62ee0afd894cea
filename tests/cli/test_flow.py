"""The verbs one after the other: from a folder of images to scores."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.calling import TINY_OPTIONS, call, call_well

from ushape.core.files import read_csv, read_json
from ushape.core.model_file import read_header
from ushape.io.images import read_mask


def test_train_predict_evaluate_and_info_work_hand_in_hand(finished: Path, tmp_path: Path) -> None:
    data, run = finished / "blobs", finished / "run"
    said = call_well("predict", run, data, "-o", tmp_path / "masks", "--overlays")
    assert said.out.endswith(f"6 masks in {tmp_path / 'masks'}\n")
    said = call_well("evaluate", tmp_path / "masks", data, "-o", tmp_path / "scores")
    assert "mean foreground Dice" in said.out
    assert {"scores.csv", "cases.csv", "scores.json", "summary.json", "report.html"} <= {
        path.name for path in (tmp_path / "scores").iterdir()
    }
    said = call_well("info", run / "model.safetensors")
    assert "parameters: " in said.out
    assert "[net]" in said.out
    assert "masks that predict makes" in said.out


def test_training_in_a_pipe_says_all_in_plain_lines(blobs: Path, tmp_path: Path) -> None:
    said = call_well("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS)
    lines = said.out.splitlines()
    assert lines[0] == f"{blobs}: 6 images with masks, all 40x48 pixels, 1 channel, uint8"
    assert lines[2].startswith("net: 2D, 2 levels of 4, 8 channels; 2 patches of 32x32 a step; loss ce + dice")
    assert [line[:14] for line in lines if line.startswith("epoch")] == ["epoch 1 step 4", "epoch 2 step 8"]
    assert lines[-3:-1] == [
        f"model: {tmp_path / 'run' / 'model.safetensors'}",
        f"report: {tmp_path / 'run' / 'report.html'}",
    ]
    score = read_header(tmp_path / "run" / "model.safetensors").score
    assert lines[-4] == (
        f"best validation Dice: {score['mean']:.4f} on the net's grid; of the masks that predict makes: "
        f"{score['masks']:.4f}"
    )
    assert "\x1b" not in said.out
    assert said.err == ""


def test_training_as_json_is_one_event_per_line_and_ends_with_the_result(blobs: Path, tmp_path: Path) -> None:
    said = call_well("train", blobs, "-o", tmp_path / "run", "--json", *TINY_OPTIONS)
    *events, result = said.json_lines
    assert {event["event"] for event in events} == {"message", "progress", "validation"}
    best = max(event["score"] for event in events if event["event"] == "validation")
    assert result["event"] == "result"
    assert result["score"]["mean"] == pytest.approx(best)
    assert all(Path(result[name]).exists() for name in ("run", "model", "report"))


def test_prediction_as_json_is_nothing_but_json(finished: Path, tmp_path: Path) -> None:
    arguments = ("predict", finished / "run", finished / "blobs", "-o", tmp_path, "--json", "--probabilities")
    assert len(call_well(*arguments).json["written"]) == 6
    again = call_well(*arguments, "--skip-existing").json
    assert (again["written"], len(again["skipped"]), again["failed"]) == ([], 6, {})
    assert len(list((tmp_path / "probabilities").iterdir())) == 6


def test_other_verbs_print_json_as_well(finished: Path, tmp_path: Path) -> None:
    call_well("predict", finished / "run", finished / "blobs", "-o", tmp_path)
    assert call_well("evaluate", tmp_path, finished / "blobs", "--json").json
    assert call_well("info", finished / "run", "--json").json["finished"] is True
    assert call_well("info", finished / "run" / "model.safetensors", "--json").json["members"] == 1
    assert call_well("info", finished / "blobs", "--json").json["cases"] == 6
    assert call_well("data", "check", finished / "blobs", "--json").json == []
    assert set(call_well("plan", finished / "blobs", "--json").json) == {"fingerprint", "recipe", "reasons"}


def test_a_plan_is_written_edited_and_trained(blobs: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    call_well("plan", blobs, "-o", recipe, *TINY_OPTIONS)
    text = recipe.read_text(encoding="utf-8")
    assert "set on the command line" in text
    recipe.write_text(text.replace("widths = [4, 8]", "widths = [4, 6]"), encoding="utf-8")
    call_well("train", blobs, "-o", tmp_path / "run", "--recipe", recipe, "--lr", "0.005", "--set", "net.up=linear")
    trained = (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    for line in ("widths = [4, 6]", "lr = 0.005 # set on the command line", 'up = "linear" # set on the command line'):
        assert line in trained


def test_a_recipe_that_names_some_choices_leaves_the_others_to_the_plan(blobs: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "some.toml"
    recipe.write_text("[train.optim]\nlr = 0.007\n[net]\nwidths = [4, 4, 4]\n", encoding="utf-8")
    planned = call_well("plan", blobs, "--recipe", recipe, "--json").json["recipe"]
    assert (planned["train"]["optim"]["lr"], planned["net"]["widths"]) == (0.007, [4, 4, 4])
    assert planned["data"]["labels"]["values"] == [0, 255]


def test_flags_set_the_fields_of_the_recipe(blobs: Path, tmp_path: Path) -> None:
    flags = ("--epochs", 1, "--batch", 3, "--lr", 0.01, "--seed", 5, "--patience", 4, "--workers", 1, "--threads", 1)
    call_well("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS[:4], *flags, "--set", "train.steps_per_epoch=1")
    info = call_well("info", tmp_path / "run", "--json").json["recipe"]
    set_by_flag = [
        "epochs = 1",
        "batch = 3",
        "lr = 0.01",
        "seed = 5",
        "patience = 4",
        "workers = 1",
        'minutes = "none"',
    ]
    for line in set_by_flag:
        assert f"{line} # set on the command line" in info


def test_another_seed_splits_otherwise(blobs: Path, tmp_path: Path) -> None:
    held_out = set()
    for seed in range(4):
        run = tmp_path / str(seed)
        call_well(
            "train", blobs, "-o", run, *TINY_OPTIONS, "--seed", seed, "--epochs", 1, "--set", "train.steps_per_epoch=1"
        )
        held_out.add(*read_json(run / "splits.json")["validation"])
    assert len(held_out) > 1


def test_the_run_folder_is_named_after_data_and_time_by_default(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call_well("train", blobs, *TINY_OPTIONS, "--epochs", 1)
    (run,) = (path for path in (tmp_path / "runs").iterdir() if path.name != ".prepared")
    assert run.name.startswith("blobs-2")


def test_one_image_gets_one_mask_where_it_was_asked_for(finished: Path, tmp_path: Path) -> None:
    call_well("predict", finished / "run", finished / "blobs" / "images" / "case0.png", "-o", tmp_path / "mask.tif")
    mask = read_mask(tmp_path / "mask.tif")
    assert mask.shape == (40, 48)
    assert set(np.unique(mask)) <= {0, 255}


def test_resuming_a_finished_run_says_that_it_is_finished(finished: Path) -> None:
    said = call_well("train", "--resume", finished / "run")
    assert "this training is finished" in said.out


def test_a_batch_goes_on_past_a_bad_image_lists_it_and_fails(finished: Path, tmp_path: Path) -> None:
    images = tmp_path / "in"
    images.mkdir()
    good = (finished / "blobs" / "images" / "case0.png").read_bytes()
    (images / "good.png").write_bytes(good)
    (images / "bad.png").write_bytes(good[:100])
    said = call("predict", finished / "run", images, "-o", tmp_path / "out")
    assert said.code == 1
    assert (tmp_path / "out" / "good.png").is_file()
    assert "error: 1 of 2 images failed:\n" in said.err
    assert "bad.png: cannot be decoded" in said.err
    as_json = call("predict", finished / "run", images, "-o", tmp_path / "out", "--json")
    assert as_json.code == 1
    assert list(as_json.json["failed"]) == [str(images / "bad.png")]


def test_synthetic_data_is_made_checked_and_kept(tmp_path: Path) -> None:
    data = tmp_path / "nuclei"
    said = call_well("data", "synth", "nuclei", "-o", data, "--count", 3, "--size", 48)
    assert f"next: ushape train {data}" in said.out
    assert call_well("data", "check", data).out.endswith(f"{data}: nothing wrong\n")
    again = call("data", "synth", "nuclei", "-o", data)
    assert (again.code, "not empty; choose another folder" in again.err) == (1, True)


def test_metrics_can_be_read_by_anything(finished: Path) -> None:
    rows = read_csv(finished / "run" / "metrics.csv")
    assert list(rows[0]) == ["epoch", "step", "train_loss", "val_dice", "dice_foreground", "best", "lr", "seconds"]


@pytest.mark.slow
def test_no_verb_warns_of_anything_in_a_process_of_its_own(blobs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore:.*LeafSpec.*:FutureWarning", "-m", "ushape"]
    train = ["train", str(blobs), "-o", str(tmp_path / "run"), "--json", *TINY_OPTIONS, "--workers", "1"]
    done = subprocess.run([*command, *train], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "result"
