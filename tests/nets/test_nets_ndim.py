"""One implementation in both dimensions, and the only file that names them."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import ushape.nets
from ushape.nets.ndim import LAYERS, depth_to_space, spatial_max, spatial_mean


@pytest.mark.parametrize("factor", [2, 3])
def test_pixel_shuffle_is_torchs_in_two_dimensions(factor: int) -> None:
    x = torch.randn(2, 3 * factor**2, 5, 6)
    assert torch.equal(depth_to_space(x, (factor, factor)), F.pixel_shuffle(x, factor))


def test_pixel_shuffle_puts_each_channel_where_the_formula_says() -> None:
    x, (d, h, w) = torch.randn(1, 24, 2, 3, 4), (2, 3, 4)
    fine = depth_to_space(x, (d, h, w))
    assert fine.shape == (1, 1, 4, 9, 16)
    for z, y, c in ((0, 0, 0), (3, 8, 15), (1, 4, 6)):
        channel = (z % d) * h * w + (y % h) * w + c % w
        assert fine[0, 0, z, y, c] == x[0, channel, z // d, y // h, c // w]


def test_means_and_maxima_over_space_keep_the_axes() -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    assert torch.allclose(spatial_mean(x).flatten(1), x.flatten(2).mean(2))
    assert torch.equal(spatial_max(x).flatten(1), x.flatten(2).amax(2))


def test_every_family_of_layers_exists_in_two_and_three_dimensions() -> None:
    for ndim, layers in LAYERS.items():
        assert layers.conv(1, 1, 3)(torch.zeros(1, 1, *[4] * ndim)).ndim == ndim + 2
        assert all(f"{ndim}d" in make.__name__ for name, make in vars(layers).items() if name != "linear_mode")


def test_no_other_file_names_a_layer_of_one_dimension() -> None:
    folder = Path(ushape.nets.__file__).parent
    named = {path.name for path in folder.glob("*.py") if re.search(r"\b(Conv|BatchNorm)\w*[23]d", path.read_text())}
    assert named == {"ndim.py"}
