"""What one training does, seen from its run folder."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import Heard, fit_tiny, same, same_training, state, weights
from torch import nn

from ushape.core.errors import ConfigError
from ushape.core.events import Message, Progress, Validation
from ushape.core.files import read_csv, read_json
from ushape.core.model_file import read_header
from ushape.nets.unet import UNet
from ushape.plan.recipe import read_recipe
from ushape.train.checkpoint import last_weights
from ushape.train.module import SegmentationModule
from ushape.train.optim import OptimConfig
from ushape.train.run_folder import RunFolder
from ushape.train.validation import ValidationScores

Trained = tuple[Path, RunFolder, Heard]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, heard = tmp_path_factory.mktemp("trained"), Heard()
    data = write_blobs(folder / "blobs")
    return data, fit_tiny(data, folder / "run", {"train.epochs": 4}, heard), heard


def test_the_run_folder_holds_all_that_is_promised_and_nothing_temporary(trained: Trained) -> None:
    _, run, _ = trained
    names = {path.name for path in run.path.iterdir()}
    promised = {
        "recipe.toml", "fingerprint.json", "environment.json", "splits.json", "choices.json", "metrics.csv",
        "last.ckpt", "model.safetensors", "predictions", "report.html", "log.txt",
    }  # fmt: skip
    assert names >= promised
    assert names - promised == {"scores.csv", "cases.csv", "scores.json", "summary.json"}
    assert [path.name for path in run.predictions.iterdir()] == [
        f"{name}.png" for name in read_json(run.splits)["validation"]
    ]


def test_metrics_have_one_row_per_epoch_and_name_the_best(trained: Trained) -> None:
    _, run, _ = trained
    rows = read_csv(run.metrics)
    assert [int(row["step"]) for row in rows] == [4, 8, 12, 16]
    scores = [float(row["val_dice"]) for row in rows]
    best = [score > max(scores[:i], default=-1) for i, score in enumerate(scores)]
    assert [row["best"] == "1" for row in rows] == best
    kept = read_header(run.model).score
    assert kept is not None
    assert read_header(run.model).parameters == sum(weight.numel() for weight in fresh_net(run).parameters())
    assert (kept["mean"], kept["dice"]["foreground"]) == pytest.approx((max(scores), max(scores)), abs=1e-6)


def test_the_listener_hears_what_was_found_chosen_and_done_in_this_order(trained: Trained) -> None:
    _, run, heard = trained
    said = [message.text for message in heard.of(Message)]
    expected = [
        "6 images",
        "labels: values 0, 255",
        "net: 2D, 2 levels",
        "6 cases prepared; kept for other trainings in",
        "training on 5 cases, validating on 1",
        "GB of memory for a step",
        "cpu, float32: 4 epochs of 4 steps",
    ]
    assert [part in text for part, text in zip(expected, said, strict=True)] == [True] * len(expected)
    assert [row.epoch for row in heard.of(Validation)] == [1, 2, 3, 4]
    trained_steps = [event.done for event in heard.of(Progress) if event.stage == "train"]
    assert trained_steps == sorted(trained_steps)
    assert trained_steps[-1] == 16
    assert all(line in run.log.read_text(encoding="utf-8") for line in said)


def test_the_model_file_names_no_case_and_no_place(trained: Trained) -> None:
    data, run, _ = trained
    content = run.model.read_bytes()
    for private in (b"case0", b"case1", data.name.encode(), str(data).encode()):
        assert private not in content


def test_the_same_seed_gives_the_same_training_and_another_seed_another(blobs: Path, tmp_path: Path) -> None:
    changes = {"net.block.dropout": 0.3}
    runs = [fit_tiny(blobs, tmp_path / f"run{i}", {**changes, "train.seed": seed}) for i, seed in enumerate([1, 1, 2])]
    assert same_training(runs[0], runs[1])
    assert not same_training(runs[0], runs[2])


def test_without_an_average_the_last_weights_are_the_checkpoint_s(blobs: Path, tmp_path: Path) -> None:
    run = fit_tiny(blobs, tmp_path / "run", {"train.average": 0})
    assert "current_model_state" not in state(run)


def test_a_single_case_trains_without_validation_and_says_so(tmp_path: Path) -> None:
    data, heard = write_blobs(tmp_path / "one", count=1), Heard()
    run = fit_tiny(data, tmp_path / "run", listener=heard)
    warnings = [message.text for message in heard.of(Message) if message.level == "warning"]
    assert len(warnings) == 1
    assert "without validation" in warnings[0]
    assert read_header(run.model).score == {}
    assert all(math.isnan(row.score) and not row.is_best for row in heard.of(Validation))
    averaged = state(run)["state_dict"]
    assert all(torch.equal(value, averaged[f"net.{name}"]) for name, value in weights(run).items())
    assert "nothing is scored" in run.report.read_text(encoding="utf-8")


def test_validation_cases_without_foreground_do_not_choose_the_weights(tmp_path: Path) -> None:
    data, heard = write_blobs(tmp_path / "blobs", count=3), Heard()
    probe = fit_tiny(data, tmp_path / "probe", {"train.epochs": 1, "train.steps_per_epoch": 1})
    (held_out,) = read_json(probe.splits)["validation"]
    Image.fromarray(np.zeros((40, 48), dtype=np.uint8)).save(data / "masks" / f"{held_out}.png")
    run = fit_tiny(data, tmp_path / "run", listener=heard)
    warnings = [message.text for message in heard.of(Message) if message.level == "warning"]
    assert any("no validation case (1) holds foreground" in text and "--seed" in text for text in warnings)
    assert read_header(run.model).score == {}


def test_training_stops_early_when_validation_does_not_improve(blobs: Path, tmp_path: Path) -> None:
    changes = {
        "train.epochs": 30,
        "train.patience": 2,
        "train.optim.lr": 1e-12,
        "train.steps_per_epoch": 1,
        "train.average": 0,
    }
    run = fit_tiny(blobs, tmp_path / "run", changes)
    rows = read_csv(run.metrics)
    best = max(i for i, row in enumerate(rows) if row["best"] == "1")
    assert len(rows) == best + 3 < 30


def test_the_kept_weights_are_those_of_the_best_validation(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summarise = SegmentationModule.summarise_validation

    def told(module: SegmentationModule) -> ValidationScores:
        return replace(summarise(module), mean=(0.2, 0.9, 0.5)[module.current_epoch])

    monkeypatch.setattr(SegmentationModule, "summarise_validation", told)
    changes = {"train.optim.schedule": "fixed", "train.optim.warmup": 0}
    long, short = (fit_tiny(blobs, tmp_path / f"{n}", {**changes, "train.epochs": n}) for n in (3, 2))
    assert [row["best"] for row in read_csv(long.metrics)] == ["1", "1", "0"]
    assert same(weights(long), weights(short))
    assert same(weights(short), last_weights(short.checkpoint))
    assert not same(weights(long), last_weights(long.checkpoint))


def test_bf16_trains_on_a_cpu(blobs: Path, tmp_path: Path) -> None:
    run = fit_tiny(blobs, tmp_path / "run", {"train.precision": "bf16", "train.layout": "channels_last"})
    assert {value.dtype for value in weights(run).values()} <= {torch.float32, torch.int64}


def test_an_empty_folder_is_taken(blobs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert fit_tiny(blobs, tmp_path / "run", {"train.epochs": 1, "train.steps_per_epoch": 1}).model.is_file()


def test_gradients_are_summed_over_as_many_steps_as_asked_and_the_rate_is_that_of_the_update(
    blobs: Path, tmp_path: Path
) -> None:
    run = fit_tiny(blobs, tmp_path / "run", {"train.accumulate": 3, "train.steps_per_epoch": 4})
    kept = state(run)
    assert kept["global_step"] == 4  # two updates an epoch, of three steps and of the one that is left
    rate = kept["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate == pytest.approx(OptimConfig().rate * 0.5 * (1 + math.cos(math.pi * 3 / 4)))


def test_the_gradient_s_norm_is_clipped(blobs: Path, tmp_path: Path) -> None:
    changes = {"train.optim.optimizer": "sgd", "train.optim.schedule": "fixed", "train.optim.warmup": 0}
    changes |= {"train.optim.weight_decay": 0, "train.optim.lr": 1.0, "train.average": 0, "train.epochs": 1}
    changes |= {"train.steps_per_epoch": 1}
    moved = {}
    for clip in (1e-3, 0.0):
        run = fit_tiny(blobs, tmp_path / f"run{clip}", {**changes, "train.clip": clip})
        start, after = dict(fresh_net(run).named_parameters()), weights(run)
        moved[clip] = math.sqrt(sum(float((start[name].detach() - after[name]).square().sum()) for name in start))
    assert moved[1e-3] == pytest.approx(1.99e-3, rel=0.02)  # nesterov: 1 + momentum 0.99
    assert moved[0.0] > 10 * moved[1e-3]


def fresh_net(run: RunFolder) -> nn.Module:
    """Build the net of a run anew, as it was before the first step."""
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe")
    torch.manual_seed(recipe.train.seed)
    return UNet(recipe.net)


@pytest.mark.parametrize("on", ["dice", "loss"])
def test_the_rate_falls_while_validation_stands_still(blobs: Path, tmp_path: Path, on: str) -> None:
    still = {"train.optim.lr": 1e-12, "train.average": 0, "train.epochs": 4, "train.optim.warmup": 0}
    changes = {**still, "train.optim.schedule": {"name": "plateau", "on": on, "drop": 0.5, "patience": 1}}
    run = fit_tiny(blobs, tmp_path / "run", changes)
    rates = [float(row["lr"]) for row in read_csv(run.metrics)]
    assert rates == pytest.approx([1e-12, 1e-12, 1e-12, 5e-13])


def test_a_schedule_that_follows_validation_needs_some(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "one", count=1)
    with pytest.raises(ConfigError, match=r"plateau follows validation, but .*; take another schedule"):
        fit_tiny(data, tmp_path / "run", {"train.optim.schedule": "plateau"})
