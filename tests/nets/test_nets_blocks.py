"""Blocks: what they are made of, and in which order."""

import pytest
import torch
from torch import nn

from ushape.core.errors import ConfigError
from ushape.nets.blocks import BlockConfig, ConvBlock, ConvSpec, ConvUnit, ResidualBlock, activate, make_stage
from ushape.nets.cost import measure_cost
from ushape.nets.unet import UNet, UNetConfig

SPEC = ConvSpec(3, 8, (3, 3), (1, 1))


def convolutions(block: nn.Module) -> list[nn.Module]:
    return [unit.conv for unit in block.modules() if isinstance(unit, ConvUnit)]


@pytest.mark.parametrize(("norm", "bias"), [("batch", False), ("instance", False), ("group", True), ("none", True)])
def test_a_convolution_has_a_bias_where_the_norm_does_not_subtract_it(norm: str, bias: bool) -> None:
    block = ConvBlock(SPEC, BlockConfig(norm=norm))
    assert [conv.bias is not None for conv in convolutions(block)] == [bias, bias]


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize(("choice", "bias"), [("on", True), ("off", False)])
def test_a_bias_can_be_forced(norm: str, choice: str, bias: bool) -> None:
    block = ConvBlock(SPEC, BlockConfig(norm=norm, bias=choice))
    assert [conv.bias is not None for conv in convolutions(block)] == [bias, bias]


def test_a_block_is_convolution_norm_activation_twice() -> None:
    block = ConvBlock(SPEC, BlockConfig(norm="batch", activation="relu"))
    plain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    again = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    whole = nn.Sequential(plain, again)
    whole.load_state_dict(dict(zip(whole.state_dict(), block.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 7, 9)
    assert torch.equal(block(x), whole(x))


@pytest.mark.parametrize(("middle", "width"), [("out", 8), ("half_out", 4), ("half_in", 3)])
def test_the_channels_in_the_middle_can_be_chosen(middle: str, width: int) -> None:
    block = ConvBlock(ConvSpec(6, 8, (3, 3), (1, 1)), BlockConfig(middle=middle))
    assert [conv.out_channels for conv in convolutions(block)] == [width, 8]


@pytest.mark.parametrize(("middle", "channels"), [("half_in", (1, 8)), ("half_out", (8, 1))])
def test_halving_one_channel_is_refused(middle: str, channels: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=f"middle '{middle}': expected channels to halve, got 1"):
        ConvBlock(ConvSpec(*channels, (3, 3), (1, 1)), BlockConfig(middle=middle))


def test_a_residual_block_adds_its_input_before_the_last_activation() -> None:
    block = ResidualBlock(ConvSpec(4, 4, (3, 3), (1, 1)), BlockConfig(activation="relu"))
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(block(x), torch.relu(block.body(x) + x))


def test_the_shortcut_pools_and_projects_only_where_it_must() -> None:
    def shortcut(spec: ConvSpec) -> list[str]:
        return [type(layer).__name__ for layer in ResidualBlock(spec, BlockConfig(bias="on")).shortcut]

    assert shortcut(ConvSpec(4, 4, (3, 3), (1, 1))) == []
    assert shortcut(ConvSpec(4, 4, (3, 3), (2, 2))) == ["AvgPool2d"]
    assert shortcut(ConvSpec(4, 8, (3, 3), (2, 1))) == ["AvgPool2d", "Conv2d", "InstanceNorm"]


def test_a_kernel_of_one_on_an_axis_leaves_that_axis_alone() -> None:
    block = ConvBlock(ConvSpec(1, 2, (1, 3, 3), (1, 2, 2)), BlockConfig(norm="none"))
    x = torch.randn(1, 1, 4, 8, 8)
    assert torch.allclose(block(x)[:, :, 2:3], block(x[:, :, 2:3]), atol=1e-6)


def test_dropout_zeroes_whole_channels_and_only_while_training() -> None:
    block = ConvBlock(SPEC, BlockConfig(dropout=0.5, activation="gelu"))
    torch.manual_seed(0)
    x = torch.randn(4, 3, 6, 6)
    zeros = block(x).eq(0).flatten(2)
    assert torch.equal(zeros.any(2), zeros.all(2))
    assert 0 < zeros.all(2).float().mean() < 1
    assert not block.eval()(x).eq(0).flatten(2).all(2).any()


@pytest.mark.parametrize(("norm", "part"), [("batch", "norm"), ("instance", "norm"), ("none", "conv")])
def test_a_hook_keeps_what_it_saw_though_activations_work_in_place(norm: str, part: str) -> None:
    unit = ConvUnit(SPEC, BlockConfig(norm=norm, activation="relu"))
    image = torch.randn(1, 3, 8, 8, requires_grad=True)
    plain, kept, grads = unit(image), list[torch.Tensor](), list[torch.Tensor]()
    unit.get_submodule(part).register_forward_hook(lambda *call: kept.append(call[2]))
    unit.get_submodule(part).register_full_backward_hook(lambda *call: grads.append(call[2][0]))
    watched = unit(image)
    watched.sum().backward()
    assert torch.equal(watched, plain)
    assert torch.equal(kept[0].clamp(min=0), plain)
    assert kept[0].min() < 0
    assert torch.equal(grads[0], (plain > 0).float())


def test_activations_work_in_place() -> None:
    unit = ConvUnit(SPEC, BlockConfig(norm="none", activation="relu"))
    made = unit.conv(torch.randn(1, 3, 8, 8))
    assert activate(unit.activation, made) is made


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_checkpointing_changes_neither_gradients_nor_statistics(norm: str) -> None:
    config = UNetConfig(widths=(4, 8), block=BlockConfig(norm=norm, residual=True))
    plain, saving = UNet(config), UNet(config.model_copy(update={"checkpointing": True}))
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 1, 12, 12)
    for net in (plain, saving):
        net(x).square().mean().backward()
    for key, value in plain.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, saving.state_dict()[key]), key
    for (key, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6), key


def test_checkpointing_keeps_fewer_activations() -> None:
    config = UNetConfig(ndim=3, widths=(8, 16, 32))
    saving = config.model_copy(update={"checkpointing": True})
    assert measure_cost(saving, (32,) * 3).activation_bytes < 0.6 * measure_cost(config, (32,) * 3).activation_bytes


def test_a_stage_changes_channels_and_resolution_in_its_first_block() -> None:
    stage = make_stage(ConvSpec(3, 8, (3, 3), (2, 2)), BlockConfig(convs=1), repeats=3)
    assert [(conv.in_channels, conv.stride) for conv in convolutions(stage)] == [(3, (2, 2)), (8, (1, 1)), (8, (1, 1))]
