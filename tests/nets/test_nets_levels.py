"""What works on whole levels: encoders, pyramids, sums and the transformer."""

import math

import pytest
import torch
from torch.nn import functional as F

from ushape.core.errors import ConfigError
from ushape.nets.encoders import PlainEncoder, VGGEncoder
from ushape.nets.fusion import LevelSum, Pyramid
from ushape.nets.presets import preset
from ushape.nets.transunet import Transformer, TransformerConfig, TransformerLayer
from ushape.nets.unet import UNet, UNetConfig

DIMS = pytest.mark.parametrize("ndim", [2, 3])


@DIMS
@pytest.mark.parametrize("down", ["max", "average", "stride"])
def test_a_plain_encoder_gives_one_level_per_width_at_its_stride(ndim: int, down: str) -> None:
    strides = ((1, 1, 1), (1, 2, 2), (2, 2, 3))
    net = UNet(UNetConfig(ndim=ndim, widths=(4, 6, 8), down=down, strides=tuple(row[-ndim:] for row in strides)))
    assert isinstance(net.encoder, PlainEncoder)
    shapes = [tuple(level.shape[1:]) for level in net.encoder(torch.randn(2, 1, *(8, 16, 24)[-ndim:]))]
    expected = [(4, 8, 16, 24), (6, 8, 8, 12), (8, 4, 4, 4)]
    assert shapes == [(channels, *space[-ndim:]) for channels, *space in expected]


def test_vgg_levels_are_what_stands_before_each_pooling() -> None:
    encoder = VGGEncoder(3, 3, norm=False)
    image = torch.randn(1, 3, 20, 24)
    first, second, third = encoder(image)
    assert torch.equal(first, encoder.features[:4](image))
    assert torch.equal(second, encoder.features[:9](image))
    assert third.shape == (1, 256, 5, 6)
    assert len(encoder.features) == 16


def test_vgg_has_no_sixth_level() -> None:
    with pytest.raises(ConfigError, match="5 levels"):
        VGGEncoder(3, 6, norm=False)


@DIMS
def test_a_pyramid_adds_what_coarser_levels_know(ndim: int) -> None:
    pyramid = Pyramid(ndim, (3, 5), width=4)
    fine, coarse = torch.randn(1, 3, *[8] * ndim), torch.randn(1, 5, *[4] * ndim)
    mode = {2: "bilinear", 3: "trilinear"}[ndim]
    top = pyramid.lateral[1](coarse)
    expected = pyramid.smooth[0](pyramid.lateral[0](fine) + F.interpolate(top, scale_factor=2, mode=mode))
    got = pyramid([fine, coarse])
    assert torch.allclose(got[0], expected, atol=1e-6)
    assert torch.equal(got[1], pyramid.smooth[1](top))


def test_a_pyramid_leaves_levels_without_features_empty() -> None:
    pyramid = Pyramid(2, (0, 5), width=4)
    assert pyramid.widths == (0, 4)
    assert pyramid([torch.zeros(1, 0, 8, 8), torch.zeros(1, 5, 4, 4)])[0].shape == (1, 0, 8, 8)


@DIMS
def test_the_sum_adds_all_levels_on_the_finest_grid(ndim: int) -> None:
    fuse = LevelSum(ndim, (3, 5), width=4)
    fine, coarse = torch.randn(1, 3, *[8] * ndim), torch.randn(1, 5, *[4] * ndim)
    mode = {2: "bilinear", 3: "trilinear"}[ndim]
    after = F.interpolate(coarse, scale_factor=2, mode=mode)
    assert torch.allclose(fuse([fine, coarse]), fuse.project[0](fine) + fuse.project[1](after), atol=1e-5)


def test_a_transformer_layer_follows_its_equations() -> None:
    torch.manual_seed(0)
    layer, tokens = TransformerLayer(TransformerConfig(width=8, heads=2, hidden=16)), torch.randn(2, 5, 8)
    normed = F.layer_norm(tokens, (8,))
    query, key, value = layer.query_key_value(normed).reshape(2, 5, 3, 2, 4).unbind(2)
    weights = torch.softmax(torch.einsum("bihc,bjhc->bhij", query, key) / math.sqrt(4), dim=-1)
    seen = torch.einsum("bhij,bjhc->bihc", weights, value).reshape(2, 5, 8)
    after = tokens + layer.project(seen)
    expected = after + layer.perceptron(F.layer_norm(after, (8,)))
    assert torch.allclose(layer(tokens), expected, atol=1e-6)


def test_positions_are_added_as_they_are_where_the_grid_fits_and_interpolated_elsewhere() -> None:
    module = Transformer(2, 4, TransformerConfig(width=8, depth=1, heads=2, hidden=8, grid=3)).eval()
    torch.nn.init.normal_(module.positions)
    seen: list[torch.Tensor] = []
    module.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for size in (3, 6):
        image = torch.randn(1, 4, size, size)
        module(image)
        positions = F.interpolate(module.positions, size=(size, size), mode="bilinear")
        assert torch.allclose(seen[-1], (module.embed(image) + positions).flatten(2).transpose(1, 2), atol=1e-6)


def test_a_moved_image_gives_other_tokens_so_positions_matter() -> None:
    torch.manual_seed(0)
    config = preset("transunet").model_copy(
        update={
            "widths": (4, 8, 8),
            "transformer": TransformerConfig(width=16, depth=1, heads=2, hidden=16, grid=4),
        }
    )
    net = UNet(config).eval()
    torch.nn.init.normal_(net.bottleneck.positions)
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(net(image.roll(8, 3)).roll(-8, 3)[..., 6:8], net(image)[..., 6:8], atol=1e-3)
