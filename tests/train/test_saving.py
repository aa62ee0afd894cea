"""What is written while training: whole or not at all, and the average that is kept."""

import pickle
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.tiny import Heard, fit_tiny, same, state
from torch import nn
from torch.utils.data import DataLoader

from ushape.core.errors import OutputError
from ushape.core.events import Message, ignore_events
from ushape.core.files import write_json
from ushape.core.model_file import ModelHeader, read_weights, write_model
from ushape.patches.sampler import PatchConfig
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe
from ushape.train import module
from ushape.train.callbacks import AverageWeights
from ushape.train.checkpoint import AtomicCheckpointIO, read_checkpoint
from ushape.train.data import TrainingSteps, ignore_interrupt, validation_loader
from ushape.train.run_folder import RunFolder, create_run
from ushape.train.stop import catch_stop
from ushape.workflows.prepare import prepare


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let no file grow beyond `most` bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = {"state_dict": {"a": torch.arange(5)}, "step": 3}
    AtomicCheckpointIO().save_checkpoint(kept, tmp_path / "last.ckpt")
    assert same(read_checkpoint(tmp_path / "last.ckpt"), kept)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    with full_disk(20_000), pytest.raises(OutputError, match=r"last\.ckpt: cannot be written"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    assert read_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_model_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_model(path, {"weight": torch.ones(3)}, ModelHeader(recipe="version = 1"))
    with full_disk(20_000), pytest.raises(OutputError, match=r"model\.safetensors: cannot be written"):
        write_model(path, {"weight": torch.zeros(100_000)}, ModelHeader(recipe="version = 1"))
    assert torch.equal(read_weights(path)["weight"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_preparing_leaves_no_run(blobs: Path, tmp_path: Path) -> None:
    with full_disk(5_000), pytest.raises(OutputError, match="cannot be written"):
        fit_tiny(blobs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("seconds", "saved"), [(0, 3), (1e9, None)])
def test_within_an_epoch_a_checkpoint_is_written_when_it_is_time(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, saved: int | None
) -> None:
    compute, calls = module.compute_loss, iter(range(9))

    def fail_at_the_fourth(*arguments: Any) -> torch.Tensor:
        assert next(calls) < 3, "the end"
        return compute(*arguments)

    monkeypatch.setattr(module, "compute_loss", fail_at_the_fourth)
    with pytest.raises(AssertionError, match="the end"):
        fit_tiny(blobs, tmp_path / "run", {"train.save_seconds": seconds, "train.steps_per_epoch": 5})
    run = RunFolder(tmp_path / "run")
    assert (state(run)["global_step"] if run.checkpoint.exists() else None) == saved


def test_the_average_forgets_the_weights_before_the_first_step_and_settles_at_its_decay() -> None:
    average = AverageWeights(0.9)._kwargs["avg_fn"]
    assert float(average(torch.tensor(1.0), torch.tensor(0.0), 1)) == pytest.approx(1 / 11)
    assert float(average(torch.tensor(1.0), torch.tensor(0.0), 90)) == pytest.approx(0.9)
    assert float(average(torch.tensor(1.0), torch.tensor(0.0), 10_000)) == pytest.approx(0.9)


def test_the_average_of_constant_weights_is_that_constant_and_counters_are_copied() -> None:
    average = AverageWeights(0.99)._kwargs["avg_fn"]
    weight = torch.full((3,), 0.3)
    assert torch.equal(average(weight, weight, 7), weight)
    assert torch.equal(average(torch.tensor(4), torch.tensor(9), 7), torch.tensor(9))


def prepare_cases(data: Path, path: Path) -> Store:
    run = create_run(path)
    write_json(run.splits, {"data": str(data)})
    return prepare(run, Recipe(), ignore_events)


def test_training_steps_can_be_sent_to_another_process_and_give_the_same_batches(blobs: Path, tmp_path: Path) -> None:
    store = prepare_cases(blobs, tmp_path / "run")
    steps = TrainingSteps(store, PatchConfig(size=(16, 16), batch=2), seed=3)
    sent = pickle.loads(pickle.dumps(steps))
    assert same(sent[5], steps[5])
    assert not same(steps[5]["image"], steps[6]["image"])
    assert pickle.loads(pickle.dumps(ignore_interrupt)) is ignore_interrupt


@pytest.mark.slow
def test_spawned_workers_cut_the_batches_that_this_process_cuts(blobs: Path, tmp_path: Path) -> None:
    store = prepare_cases(blobs, tmp_path / "run")
    steps = TrainingSteps(store, PatchConfig(size=(16, 16), batch=2), seed=3)
    loader = DataLoader(
        steps,  # type: ignore[arg-type]
        batch_size=None,
        sampler=[4, 7],
        num_workers=1,
        multiprocessing_context="spawn",
        worker_init_fn=ignore_interrupt,
    )
    assert same(list(loader), [steps[4], steps[7]])


def test_validation_hands_over_numbers_not_cases() -> None:
    assert list(validation_loader(3)) == [0, 1, 2]


def test_the_first_ctrl_c_is_a_request_and_told_the_second_an_interrupt() -> None:
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), catch_stop(heard) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.made
        signal.raise_signal(signal.SIGINT)
    assert [message.text for message in heard.of(Message)] == ["stopping after this step; once more stops at once"]


def test_outside_the_main_thread_ctrl_c_is_left_alone() -> None:
    from threading import Thread

    seen = []

    def work() -> None:
        with catch_stop() as stop:
            seen.append(stop.made)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_net_in_another_layout_is_written_in_plain_order(tmp_path: Path) -> None:
    net = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)
    write_model(tmp_path / "model.safetensors", net.state_dict(), ModelHeader(recipe="version = 1"))
    np.testing.assert_array_equal(read_weights(tmp_path / "model.safetensors")["weight"], net.weight.detach())
