"""Pruning follows the kept channels through every net: keeping all changes nothing, and what is dead is not missed."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.nets.covering import CHOICES, Row, cover, make_config

from ushape.core.errors import ConfigError
from ushape.deploy.importance import rank_channels
from ushape.deploy.prune import narrow_config, prune
from ushape.nets.blocks import BlockConfig, ConvUnit, ResidualBlock
from ushape.nets.config import UNetConfig
from ushape.nets.presets import preset
from ushape.nets.sizes import input_space
from ushape.nets.unet import UNet

WIDTHS = (8, 12, 16)
ROWS = [row for row in cover(CHOICES) if row["encoder"] == "plain"]


def make(row: Row) -> tuple[UNet, list[np.ndarray]]:
    config = make_config(row).model_copy(update={"widths": WIDTHS})
    torch.manual_seed(0)
    net = UNet(config).eval()
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # no gate and no norm that is neutral
    size = input_space(config, (16, 18, 12)[: config.ndim])
    return net, [np.random.default_rng(0).standard_normal((1, 1, *size), dtype=np.float32)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_keeping_all_channels_changes_nothing(row: Row) -> None:
    net, windows = make(row)
    same = prune(net, net.config, rank_channels(net, windows))
    image = torch.from_numpy(windows[0])
    assert torch.equal(same(image), net(image))


def kill_odd_channels(net: UNet) -> None:
    """Let every second channel be zero behind each convolution whose channels pruning chooses from."""
    chosen = [module for module in net.modules() if isinstance(module, ConvUnit)]
    shortcuts = [block.shortcut for block in net.modules() if isinstance(block, ResidualBlock)]
    layers = [layer for each in (*chosen, *shortcuts) for layer in each.modules() if hasattr(layer, "weight")]
    ups = [
        layer
        for decode in net.decoder
        for part in (decode.up, decode.join.adjust)
        for layer in part.modules()
        if hasattr(layer, "transposed")
    ]
    for layer in layers:
        layer.weight.data[1::2] = 0
        if layer.bias is not None:
            layer.bias.data[1::2] = 0
    for layer in ups:
        (layer.weight.data.transpose(0, 1) if layer.transposed else layer.weight.data)[1::2] = 0
        if layer.bias is not None:
            layer.bias.data[1::2] = 0


STRAIGHT = [
    {"ndim": 2, "skip": "gate", "up": "transpose", "block": {"norm": "batch"}},
    {"ndim": 3, "skip": "concat", "up": "linear", "deep_supervision": True},
    {"ndim": 2, "skip": "add", "up": "nearest", "up_kernel": 3, "block": {"residual": True, "norm": "instance"}},
    {"ndim": 2, "skip": "concat", "up": "linear", "block": {"attention": "se", "norm": "none"}, "fusion": "sum"},
    {
        "ndim": 3,
        "skip": "concat",
        "up": "transpose",
        "repeats": (1, 2, 2),
        "block": {"residual": True, "norm": "batch"},
    },
    {"ndim": 2, "up_kernel": 0, "up": "linear", "adjust_skip": True, "block": {"middle": "half_out", "norm": "batch"}},
]


@pytest.mark.parametrize("choices", STRAIGHT, ids=str)
def test_a_net_with_half_its_channels_dead_loses_nothing_by_losing_them(choices: dict[str, Any]) -> None:
    config = UNetConfig(widths=WIDTHS, **choices)
    torch.manual_seed(0)
    net = UNet(config).eval()
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    kill_odd_channels(net)
    image = torch.randn(1, 1, *(17, 20, 12)[: config.ndim])
    small = prune(net, narrow_config(config, 0.5), rank_channels(net, [image.numpy()]))
    assert small.config.widths == (4, 6, 8)
    assert torch.allclose(small(image), net(image), atol=1e-4)


def test_the_channel_that_the_logits_need_is_ranked_first() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(4, 6))).eval()
    net.heads[0].weight.data[:, [0, 1, 3]] = 0
    ranked = rank_channels(net, [np.random.default_rng(0).standard_normal((1, 1, 16, 16), dtype=np.float32)])
    last = ranked["decoder.0.block.0.1"]
    assert last[2] > 0
    assert last[[0, 1, 3]].sum() == 0


def test_nets_that_cannot_be_narrowed_are_refused() -> None:
    with pytest.raises(ConfigError, match="widths of its own; try distil"):
        narrow_config(preset("vgg16"), 0.5)
    with pytest.raises(ConfigError, match="would become alike"):
        narrow_config(UNetConfig(widths=(32, 33, 40)), 0.5)
    fused = UNetConfig(
        widths=WIDTHS, skip="add", fusion="pyramid", fusion_width=8, block=BlockConfig(residual=True)
    )  # fused levels keep their width, so that blocks behind them gain shortcuts
    net = UNet(fused)
    with pytest.raises(ConfigError, match="other layers"):
        prune(net, narrow_config(fused, 0.5), rank_channels(net, [np.zeros((1, 1, 16, 16), dtype=np.float32)]))
