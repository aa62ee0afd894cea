"""GPUs are asked for by the names that lightning and torch know; seen from outside, for there may be none here."""

from pathlib import Path
from typing import Any

import lightning
import pytest
from tests.train.tiny import tiny_parts

from ushape.core.events import ignore_events
from ushape.train import trainer as trainer_module
from ushape.train.config import Choices
from ushape.train.parts import Parts
from ushape.train.run_folder import RunFolder


class Asked(lightning.Trainer):
    """Stands for lightning's trainer, and remembers what it was asked for."""

    last: dict[str, Any]

    def __init__(self, **named: Any) -> None:
        Asked.last = named

    def fit(self, module: Any, loader: Any, held_out: Any, **_: Any) -> None:
        Asked.last.update(module=module, loader=loader)


@pytest.fixture
def parts(blobs: Path, tmp_path: Path) -> Parts:
    return tiny_parts(blobs, tmp_path / "prepared")


def ask(parts: Parts, folder: Path, device: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(lightning, "Trainer", Asked)
    choices = Choices(device=device, precision=precision, channels_last=True, steps_per_epoch=4, epochs=2)
    trainer_module.run_training(parts, choices, RunFolder(folder), lambda *_: None, ignore_events)
    return Asked.last


@pytest.mark.parametrize(
    ("device", "precision", "accelerator", "flag", "pinned"),
    [
        ("cuda", "bf16", "gpu", "bf16-mixed", True),
        ("cuda", "fp16", "gpu", "16-mixed", True),
        ("mps", "float32", "mps", "32-true", False),
        ("cpu", "bf16", "cpu", "bf16-mixed", False),
    ],
)
def test_lightning_is_asked_for_the_device_and_the_precision_that_were_chosen(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, device: str, precision: str, accelerator: str,
    flag: str, pinned: bool,
) -> None:  # fmt: skip
    asked = ask(parts, tmp_path, device, precision, monkeypatch)
    assert (asked["accelerator"], asked["precision"], asked["devices"]) == (accelerator, flag, 1)
    assert asked["loader"].pin_memory is pinned


def test_the_schedule_is_spread_over_the_updates_of_the_weights(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(parts, tmp_path, "cpu", "float32", monkeypatch)["module"].settings.updates == 8


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_processes_on_several_machines_are_asked_for_together(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    shared = {"train.devices": 4, "train.nodes": 2, "train.strategy": strategy, "patches.batch": 16}
    whole = {"train.average": 0, "train.optim.weight_decay": 0, "train.optim.optimizer": "adamw"}
    asked = ask(tiny_parts(blobs, tmp_path / "cases", {**shared, **whole}), tmp_path, "cuda", "bf16", monkeypatch)
    assert (asked["devices"], asked["num_nodes"], asked["strategy"]) == (4, 2, strategy)
    assert asked["loader"].dataset[0]["image"].shape[0] == 2  # of 16, for 8 processes
