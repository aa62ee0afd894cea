"""A training that cannot start or go on says why and what to do, and leaves nothing half done."""

import logging
import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.train.tiny import Heard, fit_tiny, weights

from ushape.core.errors import ConfigError, DataError, Interrupted, OutputError, TrainingError
from ushape.core.labels import Labels
from ushape.train import module
from ushape.train.run_folder import RunFolder
from ushape.workflows import survey as survey_module
from ushape.workflows import training as training_module


def test_a_loss_that_is_not_finite_ends_the_training_with_advice_and_keeps_the_batch(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fail(net: torch.nn.Module, _loss: object, _gates: object, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(batch)
        return sum((p.sum() for p in net.parameters()), torch.zeros(())) * math.nan

    monkeypatch.setattr(module, "compute_loss", fail)
    advice = r"step 0: the loss is nan; lower the rate \(--lr\), or check .*; the batch is kept in (\S+)$"
    with pytest.raises(TrainingError, match=advice):
        fit_tiny(blobs, tmp_path / "run")
    kept = load_file(RunFolder(tmp_path / "run").evidence)
    assert kept.keys() == {"image", "label"}
    assert all(torch.equal(kept[name], seen[0][name]) for name in kept)


def test_a_loss_that_explodes_later_leaves_the_best_model_and_a_log(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = module.compute_loss
    calls = []

    def explode(*arguments: object) -> torch.Tensor:
        calls.append(1)
        return compute(*arguments) * (math.inf if len(calls) > 5 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compute_loss", explode)
    with pytest.raises(TrainingError, match="step 5: the loss is inf"):
        fit_tiny(blobs, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert {path.suffix for path in run.path.iterdir() if path.name.startswith((".", "model"))} == {".safetensors"}
    assert weights(run)
    assert "the loss is inf" in run.log.read_text(encoding="utf-8")


def test_lightning_s_advice_is_kept_back_but_other_warnings_are_not(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, level = module.compute_loss, logging.getLogger("lightning.pytorch").level

    def warn(*arguments: object) -> torch.Tensor:
        warnings.warn("the user should know", stacklevel=2)
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compute_loss", warn)
    with pytest.warns(UserWarning, match="the user should know"):
        fit_tiny(blobs, tmp_path / "run")
    assert logging.getLogger("lightning.pytorch").level == level


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_when_memory_runs_out_smaller_settings_are_named(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "compute_loss", fail)
    advice = r"out of memory with 2 patches of 32x32 a step; try --batch 1, or --set patches\.size=\[16,16\]"
    with pytest.raises(TrainingError, match=advice):
        fit_tiny(blobs, tmp_path / "run")


def test_other_faults_are_not_taken_for_a_lack_of_memory(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "compute_loss", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        fit_tiny(blobs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_16_bit_floats_on_a_cpu_are_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"precision 'fp16' .* does not run on cpu; set train.precision to float32"):
        fit_tiny(blobs, tmp_path / "run", {"train.precision": "fp16", "train.device": "cpu"})
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--device cuda: expected a device that torch sees, got none"):
        fit_tiny(blobs, tmp_path / "run", {"train.device": "cuda"})


def test_a_failed_start_leaves_no_folder_behind(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training_module, "make_parts", fail)
    with pytest.raises(Interrupted, match="nothing is trained yet"):
        fit_tiny(blobs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("there", ["file", "full folder"])
def test_a_place_that_is_taken_is_refused_and_stays_as_it_is(blobs: Path, tmp_path: Path, there: str) -> None:
    place = tmp_path / "run"
    note = place if there == "file" else place / "note.txt"
    note.parent.mkdir(exist_ok=True)
    note.write_text("mine", encoding="utf-8")
    for data in (blobs, tmp_path / "nowhere"):  # before the data is looked at, which may take minutes
        with pytest.raises(OutputError, match=r"already there; .* choose another place with -o"):
            fit_tiny(data, place)
    assert note.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss.bce.weight": 1}, r'loss\.bce: expected head = "sigmoid", got "softmax"'),
        ({"loss.class_weights": [1, 2, 3]}, r"loss\.class_weights needs 2 numbers, one per class, or none"),
        ({"train.optim.optimizer": "sgd", "train.optim.momentum": 0}, "nesterov needs a momentum above 0"),
        ({"patches.size": [32]}, r"patches\.size needs 2 numbers"),
        ({"net.in_channels": 3}, r"leave net\.in_channels out, got 3; the data has 1 channel"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused_before_anything_is_written(
    blobs: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_tiny(blobs, tmp_path / "run", changes)
    assert not (tmp_path / "run").exists()


def test_a_class_that_never_occurs_is_refused_unless_a_recipe_names_it(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, heard = Labels(names=("background", "ring", "disc"), values=(0, 7, 255)), Heard()
    table = survey_module.find_dataset(blobs)
    monkeypatch.setattr(survey_module, "find_dataset", lambda _: replace(table, labels=labels))
    with pytest.raises(DataError, match=r"expected every class in some mask, got none with ring \(value 7\); correct"):
        survey_module.survey(blobs, heard)
    survey_module.survey(blobs, heard, labels=labels)
    assert [m.text for m in heard if m.level == "warning"] == ["no mask holds ring (value 7): nothing is learnt of it"]


def test_label_values_beyond_the_table_are_refused_with_the_file(blobs: Path, tmp_path: Path) -> None:
    labels = {"data.labels.names": ["background", "disc"], "data.labels.values": [0, 1]}
    with pytest.raises(DataError, match=r"masks/case0\.png: expected label values \[0, 1\], got also 255"):
        fit_tiny(blobs, tmp_path / "run", labels)
