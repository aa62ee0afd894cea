"""Two processes train as one would on their batches together."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.tiny import TINY, cli_arguments, fit_tiny, weights

from ushape.core.errors import ConfigError
from ushape.core.files import read_csv
from ushape.train.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
STILL = {f"augment.{name}": 0.0 for name in ("warp.rotation", "warp.scale", "shade.brightness", "shade.contrast")}
STILL |= {"augment.shade.gamma": 0.0, "augment.shade.noise": 0.0}
PLAIN: dict[str, Any] = {
    **TINY,
    **STILL,
    "augment.warp.flip": False,
    "augment.warp.rotate90": False,
    "net.block.norm": "instance",
    "patches.batch": 4,
}


def run_two(data: Path, place: Path, changes: dict[str, Any], *launcher: str) -> RunFolder:
    devices = [] if launcher else ["--devices", "2"]
    command = [sys.executable, *launcher, "-m", "ushape", "train", str(data), "-o", str(place)]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1"}
    options = [*devices, *cli_arguments(changes)]
    done = subprocess.run(
        [*command, *options], check=False, capture_output=True, text=True, cwd=ROOT, timeout=550, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("next: ushape predict") == 1
    return RunFolder(place)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["image", "batch"])
def test_two_processes_have_the_losses_of_one_with_their_batches_together(
    blobs: Path, tmp_path: Path, over: str
) -> None:
    changes = {**PLAIN, "loss.dice.over": over}
    one = fit_tiny(blobs, tmp_path / "one", changes)
    two = run_two(blobs, tmp_path / "two", changes)
    ours, theirs = ([float(row["train_loss"]) for row in read_csv(run.metrics)] for run in (one, two))
    assert ours == pytest.approx(theirs, abs=2e-6)
    left, right = weights(one), weights(two)
    assert all(torch.allclose(left[name], right[name], atol=1e-5) for name in left)
    assert [row["val_dice"] for row in read_csv(one.metrics)] == [row["val_dice"] for row in read_csv(two.metrics)]


def test_a_batch_that_cannot_be_shared_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--devices 2: expected a batch .*, got 3 .* --batch 4"):
        fit_tiny(blobs, tmp_path / "run", {"train.devices": 2, "patches.batch": 3})


def test_several_machines_need_somebody_who_numbers_their_processes(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected the processes of 2 machines to be started by torchrun or srun"):
        fit_tiny(blobs, tmp_path / "run", {"train.nodes": 2})
    assert not (tmp_path / "run").exists()


def test_what_a_sharded_net_cannot_have_is_refused(blobs: Path, tmp_path: Path) -> None:
    sharded = {"train.strategy": "fsdp", "train.device": "cpu"}
    instead = r"--set train\.average=0 --set train\.optim\.weight_decay=0 --set train\.optim\.optimizer=adamw"
    with pytest.raises(ConfigError, match=f"'fsdp' has no whole weights at hand for average, .*; set {instead}"):
        fit_tiny(blobs, tmp_path / "run", sharded)
    plain = {"train.average": 0, "train.optim.weight_decay": 0, "train.optim.optimizer": "adamw"}
    with pytest.raises(ConfigError, match="'fsdp' needs GPUs, got cpu; take 'ddp'"):
        fit_tiny(blobs, tmp_path / "run", {**sharded, **plain})


def test_a_cross_validation_trains_on_one_device(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give each fold a command of its own"):
        fit_tiny(blobs, tmp_path / "run", {"train.devices": 2, "data.fold": "all"})
