"""What every network of the family does, over a set of configs in which every pair of choices occurs."""

import json
import tomllib
from typing import Any

import pytest
import tomlkit
import torch
from tests.nets.covering import CHOICES, Row, all_pairs, complete, cover, make_config, pairs_of
from torch import Tensor
from torch.nn import functional as F

from ushape.nets.sizes import valid_sizes
from ushape.nets.unet import UNet, UNetConfig

ROWS = cover(CHOICES)
SIZES = ((1, 1, 1), (97, 2, 3), (12, 16, 9), (31, 23, 7))


def name(row: Row) -> str:
    return "-".join(str(value) for value in row.values())


@pytest.fixture(params=ROWS, ids=name)
def config(request: pytest.FixtureRequest) -> UNetConfig:
    torch.manual_seed(0)
    return make_config(request.param)


def fit(config: UNetConfig, size: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a size near to the one asked for that the net takes, and the size of its logits."""
    size = size[: config.ndim]
    if config.block.padding == "same":
        return size, size
    axes = valid_sizes(config)
    taken = tuple(axis.input_for(max(wanted // 8, 2)) for axis, wanted in zip(axes, size, strict=True))
    return taken, tuple(axis.output(each) for axis, each in zip(axes, taken, strict=True))


def compute_loss(output: Tensor | list[Tensor]) -> Tensor:
    """Cross entropy against stripes, at every level."""
    levels = output if isinstance(output, list) else [output]
    losses = []
    for logits in levels:
        stripes = (torch.arange(logits[:, 0].numel()) % 2).reshape(logits[:, 0].shape)
        losses.append(F.cross_entropy(logits.float(), stripes))
    return torch.stack(losses).sum()


def test_every_allowed_pair_of_choices_is_covered() -> None:
    import random

    covered = set().union(*map(pairs_of, ROWS))
    left = [pair for pair in all_pairs(CHOICES) if pair not in covered]
    assert not any(complete(pair, CHOICES, random.Random(1)) for pair in left)


def test_any_size_in_gives_the_documented_size_out(config: UNetConfig) -> None:
    net = UNet(config).eval()
    for size in SIZES:
        taken, expected = fit(config, size)
        with torch.no_grad():
            assert net(torch.randn(1, 1, *taken)).shape == (1, 2, *expected)


def test_a_batch_of_one_trains_and_every_parameter_has_a_gradient_by_the_third_step(config: UNetConfig) -> None:
    without = {name for name, _ in UNet(config).named_parameters()}
    for _ in range(4):  # the four ReLUs of a narrow squeeze-excite may all start dead, but not four times
        without &= find_parameters_without_gradient(config) if without else without
    assert not without


def find_parameters_without_gradient(config: UNetConfig) -> set[str]:
    """Train a new network for three steps on one image; return the parameters whose gradient was always 0."""
    net = UNet(config).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    without = {name for name, _ in net.named_parameters()}
    image = torch.randn(1, 1, *fit(config, (20, 24, 18))[0])
    for _ in range(3):
        optimizer.zero_grad()
        compute_loss(net(image)).backward()
        optimizer.step()
        without -= {name for name, parameter in net.named_parameters() if parameter.grad.abs().max() > 0}
        assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    return without


def test_a_config_survives_json_and_toml(config: UNetConfig) -> None:
    data: dict[str, Any] = config.model_dump(mode="json")
    assert UNetConfig.model_validate_json(config.model_dump_json()) == config
    assert UNetConfig.model_validate(tomllib.loads(tomlkit.dumps(data))) == config
    assert "null" not in json.dumps(data)


def test_a_network_is_the_same_in_every_memory_format(config: UNetConfig) -> None:
    net = UNet(config).eval()
    image = torch.randn(2, 1, *fit(config, (20, 24, 18))[0])
    layout = torch.channels_last if config.ndim == 2 else torch.channels_last_3d
    with torch.no_grad():
        expected = net(image)
        got = net.to(memory_format=layout)(image.to(memory_format=layout))
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))
