"""Schedules, against numbers worked out by hand and against torch's own."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.train.optim import OptimConfig, lr_factor
from ushape.train.schedule import (
    Cosine,
    Cyclic,
    Fixed,
    OneCycle,
    Plateau,
    PlateauWatch,
    Poly,
    Schedule,
    StepDown,
)

FALLING: list[Schedule] = [Fixed(), StepDown(), Cosine(), Poly(), Plateau()]
ALL = [*FALLING, Cyclic(), OneCycle()]
BY_HAND: list[tuple[Schedule, dict[int, float]]] = [
    (Fixed(), {0: 1.0, 50: 1.0, 100: 1.0}),
    (StepDown(every=0.25, drop=0.5), {0: 1.0, 24: 1.0, 25: 0.5, 50: 0.25, 99: 0.125}),
    (Cosine(), {0: 1.0, 25: (2 + math.sqrt(2)) / 4, 50: 0.5, 100: 0.0}),
    (Poly(), {0: 1.0, 50: 0.5**0.9, 90: 0.1**0.9, 100: 0.0}),
    (Poly(power=2), {50: 0.25}),
    (Cyclic(low=0.1, half_cycle=20), {0: 0.1, 10: 0.55, 20: 1.0, 30: 0.55, 40: 0.1, 60: 0.55, 80: 0.1, 100: 0.325}),
    (OneCycle(), {0: 0.04, 29: 1.0, 99: 4e-6}),
    (OneCycle(rise=0.5, start=0.2), {0: 0.2, 49: 1.0}),
]


@pytest.mark.parametrize(("schedule", "expected"), BY_HAND, ids=lambda value: getattr(value, "name", ""))
def test_the_rate_is_what_the_formula_says(schedule: Any, expected: dict[int, float]) -> None:
    config = OptimConfig(schedule=schedule, warmup=0)
    assert {step: lr_factor(step, 100, config) for step in expected} == pytest.approx(expected)


@given(st.sampled_from(FALLING), st.integers(1, 2000), st.floats(0, 0.9))
def test_the_rate_rises_to_its_highest_then_never_rises_again(schedule: Any, total: int, warmup: float) -> None:
    config = OptimConfig(schedule=schedule, warmup=warmup)
    factors = [lr_factor(step, total, config) for step in range(total + 3)]
    top = max(round(warmup * total) - 1, 0)
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[top] == 1
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@given(st.sampled_from(ALL), st.integers(1, 2000), st.floats(0, 0.9))
def test_a_warm_up_ends_where_the_schedule_begins_and_nothing_exceeds_the_highest_rate(
    schedule: Any, total: int, warmup: float
) -> None:
    config, warm = OptimConfig(schedule=schedule, warmup=warmup), round(warmup * total)
    factors = [lr_factor(step, total, config) for step in range(total + 1)]
    assert all(0 <= factor <= 1 + 1e-12 for factor in factors)
    assert factors[max(warm - 1, 0)] == pytest.approx(schedule.factor(0, total - warm))
    assert len(set(factors[:warm])) == warm or not factors[0]


def torch_rates(make: Callable[[Any], Any], count: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler, rates = make(optimizer), []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


ORACLES: dict[str, tuple[Schedule, Callable[[Any], Any]]] = {
    "cyclic": (
        Cyclic(half_cycle=20),
        lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, step_size_up=20, mode="triangular2", cycle_momentum=False),
    ),
    "one cycle": (OneCycle(), lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=101, cycle_momentum=False)),
    "step": (StepDown(every=30 / 101), lambda o: lr_scheduler.StepLR(o, 30)),
    "cosine": (Cosine(), lambda o: lr_scheduler.CosineAnnealingLR(o, 101)),
    "poly": (Poly(), lambda o: lr_scheduler.PolynomialLR(o, 101, power=0.9)),
}


@pytest.mark.parametrize(("schedule", "make"), ORACLES.values(), ids=ORACLES)
def test_the_rates_are_those_of_torch(schedule: Schedule, make: Callable[[Any], Any]) -> None:
    ours = [schedule.factor(update, 101) for update in range(101)]
    assert ours == pytest.approx(torch_rates(make, 101), abs=1e-7)


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.sampled_from(["dice", "loss"]),
    st.integers(0, 3),
    st.integers(0, 40),
)
def test_a_plateau_is_seen_when_torch_sees_it_also_after_a_restart(
    results: list[float], on: Any, patience: int, restart: int
) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    mode = "max" if on == "dice" else "min"
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=patience, eps=0)
    config = Plateau(on=on, drop=0.5, patience=patience)
    ours = PlateauWatch(config)
    for number, result in enumerate(results):
        if number == restart:
            before, ours = ours, PlateauWatch(config)
            ours.restore(before.state())
        ours.see(result)
        theirs.step(result)
        assert ours.factor == optimizer.param_groups[0]["lr"]


def test_results_that_are_not_numbers_are_no_gain() -> None:
    watch = PlateauWatch(Plateau(patience=1))
    for result in (0.5, math.nan, math.nan):
        watch.see(result)
    assert watch.factor == 0.1


def test_a_schedule_is_named_by_a_word_or_written_out_and_a_misspelt_one_is_refused() -> None:
    assert parse_config(OptimConfig, {"schedule": "cyclic"}, "optim").schedule == Cyclic()
    written = parse_config(OptimConfig, {"schedule": {"name": "step", "every": 0.5}}, "optim").schedule
    assert written == StepDown(every=0.5)
    with pytest.raises(ConfigError, match=r"optim\.schedule: .*'cosin'.*'cosine'"):
        parse_config(OptimConfig, {"schedule": "cosin"}, "optim")
    with pytest.raises(ConfigError, match=r"optim\.schedule\.step: unknown field 'evry'; did you mean 'every'"):
        parse_config(OptimConfig, {"schedule": {"name": "step", "evry": 0.5}}, "optim")
