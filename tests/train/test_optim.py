"""Optimisers, against their definitions."""

import math

import pytest
import torch
from torch import nn

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.train.optim import OPTIMIZERS, OptimConfig, make_optimizer


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


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ConfigError, match="nesterov needs a momentum above 0; set nesterov to false"):
        parse_config(OptimConfig, {"optimizer": "sgd", "momentum": 0}, "optim")


def test_a_misspelt_optimizer_is_refused_with_the_right_name() -> None:
    with pytest.raises(ConfigError, match="unknown value 'adamW'; did you mean 'adamw'"):
        parse_config(OptimConfig, {"optimizer": "adamW"}, "optim")


@pytest.mark.parametrize("lr", [0, -1, math.nan])
def test_a_rate_that_is_not_positive_is_refused(lr: float) -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr: input should be greater than 0"):
        parse_config(OptimConfig, {"lr": lr}, "optim")
