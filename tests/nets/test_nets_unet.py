"""The network as a whole: sizes, supervision, switches, and what it refuses."""

import re
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError, DataError, ShapeError
from ushape.nets.blocks import BlockConfig
from ushape.nets.init import weight_of
from ushape.nets.presets import preset
from ushape.nets.sizes import input_space, output_space, valid_sizes
from ushape.nets.unet import UNet, UNetConfig

SIZE = st.integers(1, 97)
UP_TO = partial(st.integers, 1)
VALID = UNetConfig(widths=(2, 3, 4), block=BlockConfig(padding="valid", norm="none"), align="crop")


def small(**fields: object) -> UNetConfig:
    return UNetConfig(**{"widths": (2, 3, 4, 5), **fields})


FAMILY = [
    small(),
    small(down="stride", block=BlockConfig(norm="batch", residual=True)),
    small(align="crop", up="linear", skip="gate"),
    small(align="resize", up="shuffle", skip="add", down="average"),
    small(fusion="pyramid", up="nearest", bottleneck="attention"),
    small(fusion="sum", strides=((1, 1), (2, 1), (1, 3), (2, 2))),
]
NETS = [UNet(config).eval() for config in FAMILY]
SOLID = [UNet(config.model_copy(update={"ndim": 3, "strides": ()})).eval() for config in FAMILY]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NETS), SIZE, SIZE)
def test_any_image_size_comes_back(net: UNet, rows: int, cols: int) -> None:
    with torch.no_grad():
        assert net(torch.zeros(1, 1, rows, cols)).shape == (1, 2, rows, cols)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SOLID), st.permutations([97, 24, 9]).flatmap(lambda most: st.tuples(*map(UP_TO, most))))
def test_any_volume_size_comes_back(net: UNet, space: tuple[int, int, int]) -> None:
    with torch.no_grad():
        assert net(torch.zeros(1, 1, *space)).shape == (1, 2, *space)


def test_the_original_network_has_the_sizes_of_its_figure() -> None:
    (rows, _) = valid_sizes(preset("unet-2015"))
    assert rows.stages(572) == [568, 280, 136, 64, 28, 52, 100, 196, 388]
    net, seen = UNet(preset("unet-2015")).to("meta"), []
    for stage in (*net.encoder.levels, *reversed([step.block for step in net.decoder])):
        stage.register_forward_hook(lambda *call: seen.append(call[2].shape[2]))
    assert net(torch.zeros(1, 1, 572, 572, device="meta")).shape == (1, 2, 388, 388)
    assert seen == rows.stages(572)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.sampled_from(["max", "stride"]), st.booleans())
def test_an_unpadded_network_takes_exactly_the_sizes_it_documents(size: int, down: str, residual: bool) -> None:
    block = VALID.block.model_copy(update={"residual": residual})
    config = VALID.model_copy(update={"down": down, "block": block})
    (sizes, _) = valid_sizes(config)
    net, image = UNet(config).eval(), torch.zeros(1, 1, size, sizes.input_for(1))
    if sizes.output(size):
        assert net(image).shape[2] == sizes.output(size)
    else:
        with pytest.raises(ShapeError, match="unpadded"):
            net(image)


@given(st.integers(1, 400))
def test_the_input_for_an_output_is_the_smallest_that_covers_it(output: int) -> None:
    (sizes, _) = valid_sizes(preset("unet-2015"))
    taken = sizes.input_for(output)
    assert sizes.output(taken) >= output
    assert not any(sizes.output(size) >= output for size in range(output, taken))


def test_input_and_output_sizes_belong_together() -> None:
    original = preset("unet-2015")
    assert input_space(original, (380, 388)) == (572, 572)
    assert output_space(original, (572, 188)) == (388, 4)
    assert output_space(original, (573, 188)) == (0, 4)
    assert input_space(small(), (5, 7)) == output_space(small(), (5, 7)) == (5, 7)


def test_an_unpadded_network_sees_the_centre_of_its_input() -> None:
    net = UNet(VALID).eval()
    image = torch.randn(1, 1, 60, 60, requires_grad=True)
    net(image)[0, 0].sum().backward()
    used = image.grad[0, 0].abs().sum(0).nonzero()
    assert used.min() == 59 - used.max()


def test_deep_supervision_returns_logits_finest_first_and_only_while_training() -> None:
    net = UNet(small(deep_supervision=True))
    image = torch.randn(2, 1, 32, 24)
    assert [tuple(level.shape[2:]) for level in net(image)] == [(32, 24), (16, 12), (8, 6)]
    assert net.eval()(image).shape == (2, 2, 32, 24)
    assert len(UNet(small(deep_supervision=True, supervised_levels=2))(image)) == 2


def test_lower_logits_lie_on_the_image_also_where_entry_padding_was_needed() -> None:
    net = UNet(small(deep_supervision=True, down="stride"))
    assert [tuple(level.shape[2:]) for level in net(torch.randn(2, 1, 13, 9))] == [(13, 9), (7, 5), (4, 3)]


def test_entry_padding_does_not_move_the_image() -> None:
    net = UNet(small(down="stride", block=BlockConfig(norm="none"))).eval()
    image = torch.randn(1, 1, 11, 16)
    assert torch.allclose(net(F.pad(image, (0, 0, 0, 5)))[:, :, :11], net(image), atol=1e-6)


def test_convolutions_start_with_kaiming_and_norms_as_the_identity() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(ndim=3, widths=(32, 64), block=BlockConfig(norm="batch", bias="on")))
    unit = net.encoder.levels[1][0][1]
    assert float(weight_of(unit.conv).detach().std()) == pytest.approx((2 / (64 * 27)) ** 0.5, rel=0.02)
    assert unit.conv.bias.abs().max() == 0
    assert (unit.norm.weight == 1).all()
    assert (unit.norm.bias == 0).all()
    up = net.decoder[0].up[0]
    assert float(weight_of(up).detach().std()) == pytest.approx((2 / (32 * 8)) ** 0.5, rel=0.03)


def test_logits_come_out_without_activation() -> None:
    logits = UNet(small())(10 * torch.randn(1, 1, 32, 32))
    assert logits.min() < 0
    assert not torch.allclose(logits.sum(1), torch.ones(1))


@pytest.mark.parametrize("encoder", ["plain", "vgg16_bn"])
def test_a_frozen_encoder_keeps_weights_and_norm_statistics_while_training(encoder: str) -> None:
    net = UNet(small(encoder=encoder, freeze_encoder=True, block=BlockConfig(norm="batch"))).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([each for each in net.parameters() if each.requires_grad], lr=1)
    net(torch.randn(2, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert not any(key.startswith("encoder.") for key in moved)
    assert net.training
    assert not net.encoder.training


def test_a_network_learns_a_square_in_seconds() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(8, 16, 32), skip="gate", fusion="sum", deep_supervision=True))
    label = torch.zeros(1, 32, 32, dtype=torch.long)
    label[:, 8:20, 10:26] = 1
    image = label[:, None] + 0.3 * torch.randn(1, 1, 32, 32)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(25):
        levels: list[Tensor] = net(image)
        sizes = [F.interpolate(label[:, None].float(), size=each.shape[2:], mode="nearest-exact") for each in levels]
        losses = [F.cross_entropy(each, size[:, 0].long()) for each, size in zip(levels, sizes, strict=True)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    assert (net.eval()(image).argmax(1) == label).float().mean() > 0.97


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"block": {"norm": "bacth"}}, "recipe.net.block.norm: unknown value 'bacth'; did you mean 'batch'?"),
        ({"up": "bilinear"}, "recipe.net.up: unknown value 'bilinear'.*choose one of: transpose, linear"),
        ({"encoder": "vgg61"}, "unknown encoder 'vgg61'; did you mean 'vgg16'?"),
        ({"encoder": "vgg16", "ndim": 3}, "'vgg16' is 2D"),
        ({"encoder": "timm:resnet18", "ndim": 3}, "'timm:resnet18' is 2D"),
        ({"encoder": "vgg16", "widths": (8,) * 6}, "has 5 levels"),
        ({"encoder": "vgg16", "down": "stride"}, "has its own repeats, kernels, strides and down"),
        ({"encoder_weights": "vgg.pth"}, "encoder 'plain' has no pretrained weights"),
        ({"strides": ((1, 1), (2, 2))}, "expected strides for 4 levels"),
        ({"strides": ((1, 1, 1),) * 4}, "expected strides of 2 positive numbers"),
        ({"strides": ((2, 2),) * 4}, "first strides"),
        ({"kernels": ((3, 2),) * 4}, "expected odd kernels"),
        ({"widths": (8,)}, "recipe.net.widths"),
        ({"widths": (8, 0)}, "positive"),
        ({"decoder": {"widths": (8,)}}, "expected decoder.widths for 3 levels"),
        ({"supervised_levels": 4}, "at most 3"),
        ({"block": {"padding": "valid"}}, "needs align 'crop'"),
        ({"transformer": {"width": 10, "heads": 4}}, "width that 4 heads can share"),
        ({"widhts": (8, 16)}, "unknown field 'widhts'; did you mean 'widths'?"),
    ],
)
def test_a_config_that_cannot_work_is_refused_with_the_reason(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(UNetConfig, fields, "recipe.net")


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (1, 1, 16), (1, 1, 16, 16, 16), (16, 16)])
def test_an_image_of_wrong_channels_or_rank_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"image of shape \(batch, 1, size, size\), got {re.escape(str(shape))}"):
        UNet(small())(torch.zeros(shape))


def test_an_image_of_integers_is_refused_or_stopped_by_its_annotation() -> None:
    with pytest.raises((DataError, TypeError), match=r"floating-point|Float"):
        UNet(small())(torch.zeros(1, 1, 16, 16, dtype=torch.uint8))


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least one image and one voxel"):
        UNet(small())(torch.zeros(1, 1, 0, 16))


@pytest.mark.parametrize(
    ("fields", "norm"),
    [
        ({"block": {"norm": "batch"}}, "batch"),
        ({"block": {"norm": "instance"}}, "instance"),
        ({"skip": "gate", "gate": {"norm": True}}, "batch"),
    ],
    ids=str,
)
def test_an_unpadded_network_says_when_a_norm_would_have_one_value(fields: dict[str, Any], norm: str) -> None:
    block = {"padding": "valid", "norm": "none", **fields.get("block", {})}
    config = small(widths=(2, 3), strides=((1, 1), (6, 6)), align="crop", **{**fields, "block": block})
    (sizes, _) = valid_sizes(config)
    size = next(size for size in range(200) if 1 in sizes.stages(size))
    net = UNet(config)
    with pytest.raises(ShapeError, match=f"leaves {norm} norm one value per channel"):
        net.train()(torch.zeros(1, 1, size, size))
    assert norm == "instance" or net(torch.zeros(2, 1, size, size)).isfinite().all()
    assert norm == "instance" or net.eval()(torch.zeros(1, 1, size, size)).isfinite().all()


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small().up = "linear"


def test_networks_are_plain_torch_modules() -> None:
    net = UNet(small())
    assert isinstance(net, nn.Module)
    assert UNet(net.config).load_state_dict(net.state_dict())
