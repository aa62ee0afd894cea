"""Attention against its formulas, written out."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ushape.nets.attention import (
    CBAM,
    AttentionGate,
    GateConfig,
    SelfAttention,
    SpatialChannelExcite,
    SqueezeExcite,
)
from ushape.nets.blocks import BlockConfig
from ushape.nets.unet import UNet, UNetConfig

DIMS = pytest.mark.parametrize("ndim", [2, 3])


def channels_mix(layer: Any, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution as what it is: a matrix."""
    mixed = torch.einsum("oc,bc...->bo...", layer.weight.flatten(1), x)
    return mixed + layer.bias.reshape(-1, *[1] * (x.ndim - 2))


def perceptron(layers: Any, x: Tensor) -> Tensor:
    return channels_mix(layers[2], channels_mix(layers[0], x).clamp(min=0))


@DIMS
def test_squeeze_excite_follows_its_formula(ndim: int) -> None:
    x, module = torch.randn(2, 8, *[5] * ndim), SqueezeExcite(ndim, 8, reduction=2)
    mean = x.flatten(2).mean(2).reshape(2, 8, *[1] * ndim)
    assert torch.allclose(module(x), x / (1 + torch.exp(-perceptron(module.weigh, mean))), atol=1e-6)


@DIMS
def test_cbam_follows_its_formulas(ndim: int) -> None:
    x, module = torch.randn(2, 8, *[9] * ndim), CBAM(ndim, 8, reduction=2)
    ones = [1] * ndim
    mean, high = x.flatten(2).mean(2).reshape(2, 8, *ones), x.flatten(2).amax(2).reshape(2, 8, *ones)
    x1 = x * torch.sigmoid(perceptron(module.mlp, mean) + perceptron(module.mlp, high))
    convolve = {2: F.conv2d, 3: F.conv3d}[ndim]
    maps = torch.stack([x1.mean(1), x1.max(1).values], dim=1)
    expected = x1 * torch.sigmoid(convolve(maps, module.spatial.weight, module.spatial.bias, padding=3))
    assert torch.allclose(module(x), expected, atol=1e-6)


@DIMS
def test_scse_adds_a_weight_per_channel_and_a_weight_per_voxel(ndim: int) -> None:
    x, module = torch.randn(2, 8, *[5] * ndim), SpatialChannelExcite(ndim, 8, reduction=2)
    mean = x.flatten(2).mean(2).reshape(2, 8, *[1] * ndim)
    channel, voxel = torch.sigmoid(perceptron(module.channel, mean)), torch.sigmoid(channels_mix(module.spatial, x))
    assert torch.allclose(module(x), channel * x + voxel * x, atol=1e-6)


@DIMS
def test_self_attention_follows_its_formula(ndim: int) -> None:
    x, module = torch.randn(2, 16, *[3] * ndim), SelfAttention(ndim, 16)
    assert torch.equal(module(x), x)
    torch.nn.init.constant_(module.gamma, 0.7)
    query, key, value = (channels_mix(part, x).flatten(2) for part in (module.query, module.key, module.value))
    assert query.shape[1] == 2
    weights = torch.softmax(torch.einsum("bci,bcj->bij", query, key), dim=2)
    seen = torch.einsum("bij,bcj->bci", weights, value).reshape(x.shape)
    assert torch.allclose(module(x), x + 0.7 * seen, atol=1e-5)


def make_gate(ndim: int, *, norm: bool = False) -> tuple[AttentionGate, Tensor, Tensor]:
    gate = AttentionGate(16, 12, (2,) * ndim, GateConfig(norm=norm))
    return gate, torch.randn(2, 16, *(9, 8, 10)[:ndim]), torch.randn(2, 12, *(4, 4, 5)[:ndim])


@DIMS
@pytest.mark.parametrize("norm", [False, True])
def test_a_gate_starts_neutral(ndim: int, norm: bool) -> None:
    gate, skip, coarse = make_gate(ndim, norm=norm)
    assert torch.allclose(gate(skip, coarse), 0.5 * skip)


@DIMS
def test_a_gate_follows_its_formula(ndim: int) -> None:
    gate, skip, coarse = make_gate(ndim)
    for parameter in gate.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    convolve, mode = {2: (F.conv2d, "bilinear"), 3: (F.conv3d, "trilinear")}[ndim]
    local = convolve(skip, gate.from_skip[0].weight, gate.from_skip[0].bias, stride=2)
    logits = channels_mix(gate.score[0], (local + channels_mix(gate.from_gate[0], coarse)).clamp(min=0))
    attention = F.interpolate(torch.sigmoid(logits), size=skip.shape[2:], mode=mode, align_corners=False)
    assert torch.allclose(gate(skip, coarse), attention * skip, atol=1e-6)


@DIMS
def test_a_hook_sees_the_map_and_another_the_logits(ndim: int) -> None:
    gate, skip, coarse = make_gate(ndim)
    seen: dict[str, Tensor] = {}
    gate.map.register_forward_hook(lambda *call: seen.update(map=call[2]))
    gate.score.register_forward_hook(lambda *call: seen.update(logits=call[2]))
    gated = gate(skip, coarse)
    assert seen["map"].shape == (2, 1, *skip.shape[2:])
    assert torch.equal(gated, skip * seen["map"])
    assert seen["logits"].shape == (2, 1, *coarse.shape[2:])


def test_a_gate_works_on_a_quarter_of_the_channels_by_default() -> None:
    assert AttentionGate(64, 128, (2, 2), GateConfig()).from_skip[0].out_channels == 16


def test_the_logits_of_every_gate_can_be_watched_and_carry_gradients() -> None:
    net = UNet(UNetConfig(widths=(8, 16, 32), skip="gate", checkpointing=True))
    with net.watch_gates() as logits:
        net(torch.randn(1, 1, 32, 24))
    assert {name: tuple(each.shape) for name, each in logits.items()} == {
        "decoder.0.join.gate": (1, 1, 16, 12),
        "decoder.1.join.gate": (1, 1, 8, 6),
    }
    sum(each.square().sum() + each.sum() for each in logits.values()).backward()
    assert net.decoder[0].join.gate.score[0].bias.grad.abs().sum() > 0
    logits.clear()
    net(torch.randn(1, 1, 32, 24))
    assert not logits


def test_the_first_logits_of_a_network_are_small_whatever_its_attention() -> None:
    torch.manual_seed(0)
    for attention in ("none", "se", "cbam", "scse"):
        config = UNetConfig(widths=(32, 64, 128), block=BlockConfig(attention=attention), bottleneck="attention")
        assert UNet(config)(torch.randn(2, 1, 32, 32)).std() < 3
