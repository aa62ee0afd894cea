"""Minutes become steps by measurement, and are never exceeded by the plan."""

from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.train.tiny import fit_tiny, tiny_parts

from ushape.core.errors import ConfigError
from ushape.core.files import read_json
from ushape.train import budget
from ushape.train.budget import (
    FEWEST_STEPS,
    VALIDATION_SHARE,
    candidates,
    epoch_steps,
    make_choices,
    spread_budget,
)

SECONDS = st.floats(1, 1e5)
STEP = st.floats(1e-3, 30)
VALIDATION = st.one_of(st.just(0.0), st.floats(0.01, 500))
STEPS = st.integers(1, 500)


@given(SECONDS, STEP, VALIDATION, STEPS, st.booleans())
def test_a_spread_budget_is_never_exceeded(
    seconds: float, step: float, validation: float, steps: int, fixed: bool
) -> None:
    try:
        epochs, per_epoch = spread_budget(seconds, step, validation, steps, fixed=fixed)
    except ConfigError:
        shortest = steps if fixed else FEWEST_STEPS
        assert seconds < shortest * step + validation
        return
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


def test_too_short_a_budget_names_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"--minutes: too short for 10 steps of 0\.5 s and a validation of 3 s; give"):
        spread_budget(7.0, 0.5, 3.0, 50, fixed=False)


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
    choices = make_choices(parts, 10_000.0)
    assert choices.seconds_per_step > 0
    assert choices.seconds_per_validation > 0
    asked = choices.total_steps * choices.seconds_per_step + choices.epochs * choices.seconds_per_validation
    assert 5_000 < asked <= 10_000


def test_a_budget_that_is_too_short_leaves_no_folder(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--minutes: too short"):
        fit_tiny(blobs, tmp_path / "run", {"train.minutes": 1e-4})
    assert not (tmp_path / "run").exists()


def test_the_fastest_precision_and_layout_are_taken(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(
        _make: object, shape: tuple[int, ...], device: str, wanted: list[tuple[str, bool]]
    ) -> list[budget.Timing]:
        assert (shape, device) == ((2, 1, 32, 32), "cpu")
        assert len(wanted) == 4
        return [budget.Timing("bf16", channels_last=True, seconds=0.1)]

    monkeypatch.setattr(budget, "probe_precision", probe)
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
