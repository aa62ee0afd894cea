"""A training that was broken off goes on as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import TINY, Heard, cli_arguments, fit_tiny, same_training, weights

from ushape.core.errors import DataError, Interrupted
from ushape.core.events import Message, ignore_events
from ushape.core.files import read_csv
from ushape.train import module
from ushape.train.run_folder import RunFolder
from ushape.workflows.fit import resume

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stopped(blobs: Path, tmp_path: Path) -> RunFolder:
    """A run that was stopped by Ctrl-C in its second epoch."""
    run = RunFolder(tmp_path / "stopped")
    with pytest.raises(Interrupted), pytest.MonkeyPatch.context() as patch:
        interrupt_at_step(patch, 5)
        fit_tiny(blobs, run.path)
    return run


def interrupt_at_step(patch: pytest.MonkeyPatch, *numbers: int) -> None:
    compute, calls = module.compute_loss, iter(range(1000))

    def counted(*arguments: object) -> torch.Tensor:
        if next(calls) in numbers:
            signal.raise_signal(signal.SIGINT)
        return compute(*arguments)  # type: ignore[arg-type]

    patch.setattr(module, "compute_loss", counted)


@pytest.mark.slow
def test_a_training_killed_anywhere_ends_bit_equal_to_one_that_was_not(blobs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.train.killing", str(blobs), str(tmp_path / "runs")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {case: dict.fromkeys(points, True) for case, points in found.items()}
    assert len(found) == 7
    assert done.stderr == ""  # nothing to warn of


@pytest.mark.slow
def test_ctrl_c_saves_says_how_to_go_on_and_exits_with_130(blobs: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    changes = {**TINY, "train.epochs": 1000, "train.workers": 1, "train.patience": 1000}
    command = [sys.executable, "-m", "ushape", "train", str(blobs), "-o", str(place), *cli_arguments(changes)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("epoch 2"):
                os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to the workers as well
                break
        rest, complaint = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopping after this step; once more stops at once" in rest
    assert complaint.strip() == f"stopped, all is saved; go on with: ushape train --resume {place}"
    assert "Traceback" not in rest + complaint
    assert RunFolder(place).checkpoint.is_file()


def test_a_second_ctrl_c_ends_at_once_and_still_says_how_to_go_on(blobs: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="go on from the last saved step"), pytest.MonkeyPatch.context() as patch:
        compute, calls = module.compute_loss, iter(range(1000))

        def twice(*arguments: object) -> torch.Tensor:
            if next(calls) == 5:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return compute(*arguments)  # type: ignore[arg-type]

        patch.setattr(module, "compute_loss", twice)
        fit_tiny(blobs, tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("place", ["fit.design", "fit.prepare", "training.settle"])
def test_ctrl_c_before_the_first_step_says_so_and_leaves_nothing_behind(
    place: str, blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(f"ushape.workflows.{place}", interrupt)
    with pytest.raises(Interrupted, match="stopped; nothing is trained yet"):
        fit_tiny(blobs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_means_again_what_it_did_before_the_training(stopped: RunFolder) -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resuming_a_stopped_run_gives_what_an_undisturbed_one_does(
    stopped: RunFolder, blobs: Path, tmp_path: Path
) -> None:
    resume(stopped.path, ignore_events)
    assert same_training(stopped, fit_tiny(blobs, tmp_path / "whole"))
    assert [row["step"] for row in read_csv(stopped.metrics)] == ["4", "8"]


def test_rows_that_were_broken_off_or_come_after_the_checkpoint_are_written_once(stopped: RunFolder) -> None:
    with stopped.metrics.open("a", encoding="utf-8") as file:
        file.write("2,8,0.5,0.5,0.5,0,1e-3,9.0\n3,12,0.")
    resume(stopped.path, ignore_events)
    rows = read_csv(stopped.metrics)
    assert [row["step"] for row in rows] == ["4", "8"]
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_a_finished_run_is_left_as_it_is_and_says_so(blobs: Path, tmp_path: Path) -> None:
    run, heard = fit_tiny(blobs, tmp_path / "run"), Heard()
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path != run.log}
    resume(run.path, heard)
    assert ["finished" in message.text for message in heard.of(Message)] == [True]
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path != run.log} == before


def test_a_resumed_run_needs_its_images_for_the_report(stopped: RunFolder, blobs: Path) -> None:
    away = blobs.rename(blobs.with_name("away"))
    with pytest.raises(DataError, match=r"blobs: expected a folder with images/ and masks/, got none; check the path"):
        resume(stopped.path, ignore_events)
    away.rename(blobs)
    resume(stopped.path, ignore_events)
    assert weights(stopped)


def test_a_resumed_run_whose_images_are_others_now_is_refused(stopped: RunFolder, blobs: Path) -> None:
    for kind in ("images", "masks"):
        (blobs / kind / "case2.png").rename(blobs / kind / "another.png")
    with pytest.raises(DataError, match="expected the cases as they were when it began, got case2 gone"):
        resume(stopped.path, ignore_events)
    for kind in ("images", "masks"):
        shutil.copy(blobs / kind / "case3.png", blobs / kind / "case2.png")
    with pytest.raises(DataError, match=r"got case2 changed; put the files .* back as they were, or start a new run"):
        resume(stopped.path, ignore_events)
    assert stopped.checkpoint.is_file()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, blobs: Path) -> None:
    for place in (tmp_path / "nowhere", blobs):
        with pytest.raises(DataError, match=r"expected the folder of a run, found no recipe\.toml"):
            resume(place, ignore_events)


@pytest.mark.parametrize(("old", "new"), [("widths = [4, 8]", "widths = [4, 12]"), ('lr = "auto"', "lr = 0.004")])
def test_a_recipe_changed_after_the_start_is_refused(stopped: RunFolder, old: str, new: str) -> None:
    text = stopped.recipe.read_text(encoding="utf-8")
    assert old in text
    stopped.recipe.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=r"recipe\.toml: expected the recipe that this run began with, got a changed"):
        resume(stopped.path, ignore_events)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None], ids=["empty", "text", "half"])
def test_a_damaged_checkpoint_is_refused(stopped: RunFolder, content: bytes | None) -> None:
    whole = stopped.checkpoint.read_bytes()
    stopped.checkpoint.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DataError, match=r"last\.ckpt: expected a checkpoint, got a damaged file"):
        resume(stopped.path, ignore_events)


def test_what_a_killed_run_left_half_written_is_cleared_away(stopped: RunFolder) -> None:
    half = stopped.path / ".last-0123abcd.ckpt"
    half.write_bytes(b"half")
    resume(stopped.path, ignore_events)
    assert not half.exists()


def test_the_listener_hears_the_whole_split_again(stopped: RunFolder) -> None:
    heard = Heard()
    resume(stopped.path, heard)
    assert [message.text for message in heard.of(Message)] == ["training on 5 cases, validating on 1"]


def test_a_run_stopped_while_it_prepared_leaves_nothing(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs", count=3)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(data / "masks" / "case1.png")
    with pytest.raises(DataError, match="case1: mask has size 8x8 but image has 40x48"):
        fit_tiny(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
