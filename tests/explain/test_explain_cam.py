"""Seg-Grad-CAM where it can be worked out by hand."""

import numpy as np
import pytest
import torch
from tests.explain.planted import bright_net, cube

from ushape.core.errors import DataError
from ushape.explain.cam import explain_class
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet


@pytest.mark.parametrize("ndim", [2, 3])
def test_before_the_head_the_map_is_the_logit_above_its_bias(ndim: int) -> None:
    """There dy / dA_k is the head's weight, so the map is relu(logit - bias), whatever the region."""
    torch.manual_seed(3)
    net = UNet(UNetConfig(ndim=ndim, widths=(4, 8, 12), classes=3)).eval()  # type: ignore[arg-type]
    image = np.random.default_rng(0).normal(size=(1, *(13, 17, 14)[:ndim])).astype(np.float32)
    region = np.zeros(image.shape[1:], dtype=bool)
    region[(slice(3, 7),) * ndim] = True
    maps = explain_class(net, image, 2, region)
    assert list(maps) == ["bottleneck", "decoder.1", "decoder.0"]
    with torch.no_grad():
        expected = torch.relu(net(torch.from_numpy(image)[None])[0, 2] - net.heads[0].bias[2]).numpy()
    np.testing.assert_allclose(maps["decoder.0"], expected / expected.max(), atol=1e-5)
    assert all(one.shape == region.shape and 0 <= one.min() <= one.max() <= 1 for one in maps.values())


def test_what_speaks_for_bright_is_bright_and_nothing_speaks_for_the_rest() -> None:
    image = cube(2)[None]
    maps = explain_class(bright_net(), image, 1, image[0] > 0)
    assert maps["bottleneck"][image[0] > 0].min() > 0.5
    assert maps["bottleneck"][:9].max() == 0
    assert not any(one.any() for one in explain_class(bright_net(), image, 0, image[0] == 0).values())


def test_no_gradient_is_left_in_the_network() -> None:
    net = bright_net()
    explain_class(net, cube(2)[None], 1, cube(2) > 0)
    assert all(weight.grad is None for weight in net.parameters())


def test_an_empty_region_is_refused() -> None:
    with pytest.raises(DataError, match="region: expected voxels"):
        explain_class(bright_net(), cube(2)[None], 1, np.zeros((40, 40), dtype=bool))
