"""Growing, aligning and joining."""

import pytest
import torch
from torch.nn import functional as F

from ushape.nets.attention import GateConfig
from ushape.nets.join import UPS, Join, JoinSpec, UpSpec, align

DIMS = pytest.mark.parametrize("ndim", [2, 3])


@DIMS
@pytest.mark.parametrize("up", list(UPS))
@pytest.mark.parametrize("kernel", [1, 3])
def test_every_way_of_growing_multiplies_each_axis_by_its_own_factor(ndim: int, up: str, kernel: int) -> None:
    factors = (1, 2, 3)[-ndim:]
    grown = UPS[up](UpSpec(6, 4, factors, kernel))(torch.randn(2, 6, *[5] * ndim))
    assert grown.shape == (2, 4, *(5 * factor for factor in factors))


@pytest.mark.parametrize("up", ["linear", "nearest"])
def test_a_1x1_convolution_gives_the_same_before_and_after_interpolation(up: str) -> None:
    grow = UPS[up](UpSpec(6, 4, (2, 2), 1))
    x = torch.randn(1, 6, 5, 7)
    mode = {"linear": "bilinear", "nearest": "nearest"}[up]
    corners = {"align_corners": False} if up == "linear" else {}
    after = grow.before(F.interpolate(x, scale_factor=2, mode=mode, **corners))
    assert torch.allclose(grow(x), after, atol=1e-5)


def test_an_interpolation_without_convolution_keeps_the_channels() -> None:
    spec = UpSpec(6, 4, (2, 2), kernel=0, align_corners=True)
    x = torch.randn(1, 6, 5, 7)
    assert spec.grown_channels == 6
    assert torch.equal(UPS["linear"](spec)(x), F.interpolate(x, size=(10, 14), mode="bilinear", align_corners=True))


def test_padding_and_resizing_change_the_decoder_and_cropping_the_skip() -> None:
    x, skip = torch.randn(1, 2, 4, 6), torch.randn(1, 3, 5, 7)
    for kind in ("pad", "resize"):
        aligned, same = align(x, skip, kind)
        assert same is skip
        assert aligned.shape == (1, 2, 5, 7)
    same, cropped = align(x, skip, "crop")
    assert same is x
    assert torch.equal(cropped, skip[:, :, :4, :6])


def test_padded_networks_crop_from_the_first_voxel_on() -> None:
    x, skip = torch.zeros(1, 1, 1, 4), torch.arange(9.0).reshape(1, 1, 1, 9)
    assert align(x, skip, "crop", centred=False)[1].flatten().tolist() == [0, 1, 2, 3]
    assert align(x, skip, "crop", centred=True)[1].flatten().tolist() == [2, 3, 4, 5]


def test_concatenation_puts_the_skip_first() -> None:
    join = Join(JoinSpec(channels=4, skip=6, coarse=8, factors=(2, 2)), "concat", GateConfig())
    x, skip = torch.randn(1, 4, 6, 6), torch.randn(1, 6, 6, 6)
    assert torch.equal(join(x, skip, torch.randn(1, 8, 3, 3)), torch.cat([skip, x], 1))
    assert join.out_channels == 10


def test_addition_brings_the_skip_to_the_decoders_channels_where_they_differ() -> None:
    x, coarse = torch.randn(1, 4, 6, 6), torch.randn(1, 8, 3, 3)
    for width, adjusted in ((4, False), (6, True)):
        join, skip = Join(JoinSpec(4, width, 8, (2, 2)), "add", GateConfig()), torch.randn(1, width, 6, 6)
        assert torch.equal(join(x, skip, coarse), x + join.adjust(skip))
        assert (sum(each.numel() for each in join.parameters()) > 0) is adjusted
        assert join.out_channels == 4


def test_the_skip_can_be_adjusted_before_it_is_concatenated() -> None:
    join = Join(JoinSpec(4, 6, 8, (2, 2)), "concat", GateConfig(), adjust=True)
    assert join.out_channels == 8
    assert join(torch.zeros(1, 4, 6, 6), torch.zeros(1, 6, 6, 6), torch.zeros(1, 8, 3, 3)).shape[1] == 8


@pytest.mark.parametrize("kind", ["concat", "add", "gate"])
def test_a_level_without_features_has_no_skip(kind: str) -> None:
    join = Join(JoinSpec(4, 0, 8, (2, 2)), kind, GateConfig())
    x = torch.randn(1, 4, 6, 6)
    assert join(x, torch.zeros(1, 0, 6, 6), torch.zeros(1, 8, 3, 3)) is x
    assert join.out_channels == 4
    assert not list(join.parameters())
