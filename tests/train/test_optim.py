"""Optimisers and schedules, against their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.train.optim import OPTIMIZERS, SCHEDULES, OptimConfig, lr_factor, make_optimizer


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 2000), st.floats(0, 0.9))
def test_the_rate_rises_to_its_highest_then_never_rises_again(schedule: str, total: int, warmup: float) -> None:
    config = OptimConfig(schedule=schedule, warmup=warmup)  # type: ignore[arg-type]
    factors = [lr_factor(step, total, config) for step in range(total + 3)]
    top = max(round(warmup * total) - 1, 0)
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[top] == 1
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@pytest.mark.parametrize(("schedule", "half"), [("cosine", 0.5), ("poly", 0.5**0.9), ("fixed", 1.0)])
def test_half_way_the_rate_is_what_its_formula_says(schedule: str, half: float) -> None:
    assert lr_factor(50, 100, OptimConfig(schedule=schedule, warmup=0)) == pytest.approx(half)  # type: ignore[arg-type]


def test_cosine_and_poly_end_at_zero() -> None:
    for schedule in ("cosine", "poly"):
        config = OptimConfig(schedule=schedule, warmup=0.1)  # type: ignore[arg-type]
        assert lr_factor(100, 100, config) == pytest.approx(0, abs=1e-12)
        assert lr_factor(99, 100, config) > 0


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_only_weights_of_convolutions_decay_and_frozen_ones_are_left_out(name: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    net[2].requires_grad_(False)
    decayed, plain = make_optimizer(net.parameters(), OptimConfig(optimizer=name)).param_groups  # type: ignore[arg-type]
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 1, 3, 3)]
    assert [tuple(p.shape) for p in plain["params"]] == [(4,), (4,), (4,)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (1e-2, 0.0)


def test_a_step_of_sgd_goes_against_the_gradient_with_nesterov_momentum() -> None:
    weight = nn.Parameter(torch.ones(1, 1))
    optimizer = make_optimizer([weight], OptimConfig(optimizer="sgd", lr=0.1, weight_decay=0))
    weight.sum().backward()
    optimizer.step()
    assert weight.item() == pytest.approx(1 - 0.1 * (1 + 0.99))


def test_a_misspelt_optimizer_is_refused_with_the_right_name() -> None:
    with pytest.raises(ConfigError, match="unknown value 'adamW'; did you mean 'adamw'"):
        parse_config(OptimConfig, {"optimizer": "adamW"}, "optim")


@pytest.mark.parametrize("lr", [0, -1, math.nan])
def test_a_rate_that_is_not_positive_is_refused(lr: float) -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr: input should be greater than 0"):
        parse_config(OptimConfig, {"lr": lr}, "optim")
