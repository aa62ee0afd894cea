"""Minutes become steps by measurement, and are never exceeded by the plan."""

import time
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.train.tiny import fit_tiny, tiny_parts

from ushape.core.errors import ConfigError
from ushape.core.files import read_json
from ushape.train import budget, probe
from ushape.train.budget import (
    FEWEST_STEPS,
    VALIDATION_SHARE,
    candidates,
    epoch_steps,
    make_choices,
    spread_budget,
)
from ushape.train.clock import Budget, Clock

SECONDS = st.floats(1, 1e5)
STEP = st.floats(1e-3, 30)
VALIDATION = st.one_of(st.just(0.0), st.floats(0.01, 500))
STEPS = st.integers(1, 500)


@given(SECONDS, STEP, VALIDATION, STEPS, st.booleans())
def test_a_spread_budget_is_never_exceeded(
    seconds: float, step: float, validation: float, steps: int, fixed: bool
) -> None:
    assume(seconds > (steps if fixed else FEWEST_STEPS) * step + validation)
    epochs, per_epoch = spread_budget(seconds, step, validation, steps, fixed=fixed)
    assert epochs * (per_epoch * step + validation) <= seconds * (1 + 1e-9)
    assert per_epoch == steps if fixed else per_epoch >= FEWEST_STEPS


@given(SECONDS, STEP, VALIDATION, STEPS)
def test_what_is_left_of_a_budget_is_less_than_a_step_per_epoch(
    seconds: float, step: float, validation: float, steps: int
) -> None:
    assume(seconds > FEWEST_STEPS * step + validation)
    epochs, per_epoch = spread_budget(seconds, step, validation, steps, fixed=False)
    assert seconds - epochs * (per_epoch * step + validation) <= epochs * step * (1 + 1e-9)


@given(SECONDS, STEP, VALIDATION, STEPS)
def test_validation_takes_its_share_at_most_unless_there_is_but_one(
    seconds: float, step: float, validation: float, steps: int
) -> None:
    assume(seconds > FEWEST_STEPS * step + validation)
    epochs, _ = spread_budget(seconds, step, validation, steps, fixed=False)
    assert epochs == 1 or epochs * validation <= VALIDATION_SHARE * seconds * (1 + 1e-9)


def test_too_short_a_budget_names_what_took_the_time_and_the_total_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 50.0)
    alone, fold = Clock(started=20.0), Clock(started=20.0, runs=5, before=100.0)
    with pytest.raises(ConfigError) as told:
        Budget(31.0, alone, measured_from=40.0).require(30.0, "10 steps")
    assert str(told.value) == (  # 60 s, and a tenth for luck
        "--minutes: too short for 10 steps; preparing took 20 s and measuring this machine 10 s; "
        "give at least --minutes 1.1, or take smaller patches (--set patches.size=...)"
    )
    with pytest.raises(ConfigError, match=r"preparing took 120 s .*; give at least --minutes 7\.4,"):  # 110 + 5 * 66
        Budget(31.0, fold, measured_from=40.0).require(30.0, "10 steps")
    with pytest.raises(ConfigError, match=r"used up before the first step; .* 10 s; give at least --minutes 1\.1$"):
        Budget(30.0, alone, measured_from=40.0).check()
    Budget(61.0, alone, measured_from=40.0).require(30.0, "10 steps")


def test_measuring_ends_as_soon_as_the_budget_is_used_up(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, now, passes = tiny_parts(blobs, tmp_path / "prepared", {"train.precision": "auto"}), [0.0], []

    def slow_pass(*_: object) -> float:
        now[0] += 20.0
        passes.append(now[0])
        return 20.0

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(probe, "_timed_pass", slow_pass)
    with pytest.raises(ConfigError, match=r"measuring this machine 40 s; give at least --minutes 1\.5"):
        make_choices(parts, Budget(30.0, Clock(0.0), measured_from=0.0))
    assert len(passes) == 2


@given(st.integers(1, 100_000), st.integers(1, 64))
def test_an_epoch_has_one_patch_per_case_and_fifty_steps_at_least(cases: int, batch: int) -> None:
    steps = epoch_steps(cases, batch)
    assert steps >= 50
    assert steps * batch >= cases
    assert steps == 50 or (steps - 1) * batch < cases


@pytest.mark.parametrize(
    ("device", "has", "has_not"),
    [("cpu", "bf16", "fp16"), ("cuda", "fp16", None), ("mps", "float32", "bf16")],
)
def test_every_device_has_its_own_precisions(device: str, has: str, has_not: str | None) -> None:
    precisions = {precision for precision, _ in candidates(device)}
    assert has in precisions
    assert has_not not in precisions


def test_minutes_become_steps_by_what_a_step_and_a_validation_take_here(blobs: Path, tmp_path: Path) -> None:
    parts = tiny_parts(blobs, tmp_path / "prepared", {"train.steps_per_epoch": "auto"})
    started = time.perf_counter()
    choices = make_choices(parts, Budget(10_000.0, Clock(started), started))
    assert choices.seconds_per_step > 0
    assert choices.seconds_per_validation > 0
    asked = choices.total_steps * choices.seconds_per_step + choices.epochs * choices.seconds_per_validation
    assert 5_000 < asked <= 10_000


def test_a_budget_that_is_too_short_leaves_no_folder(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--minutes: used up before"):
        fit_tiny(blobs, tmp_path / "run", {"train.minutes": 1e-4})
    assert not (tmp_path / "run").exists()


def test_the_fastest_precision_and_layout_are_taken(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_one(
        _make: object, shape: tuple[int, ...], device: str, wanted: list[tuple[str, bool]], _: object
    ) -> list[budget.Timing]:
        assert (shape, device) == ((2, 1, 32, 32), "cpu")
        assert len(wanted) == 4
        return [budget.Timing("bf16", channels_last=True, seconds=0.1)]

    monkeypatch.setattr(budget, "probe_precision", choose_one)
    run = fit_tiny(blobs, tmp_path / "run", {"train.precision": "auto", "train.layout": "auto", "train.device": "cpu"})
    choices = read_json(run.choices)
    assert (choices["precision"], choices["channels_last"]) == ("bf16", True)


def test_measuring_does_not_change_the_weights_to_be_trained(blobs: Path, tmp_path: Path) -> None:
    fixed = {"train.steps_per_epoch": 5, "train.epochs": 1}
    plain = fit_tiny(blobs, tmp_path / "plain", fixed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "spread_budget", lambda *_, **__: (1, 5))
        measured = fit_tiny(blobs, tmp_path / "measured", {**fixed, "train.minutes": 5})
    ours, theirs = (torch.load(run.checkpoint, weights_only=True)["state_dict"] for run in (plain, measured))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
