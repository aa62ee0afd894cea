"""Shading changes values in known ways, only in the patches that were struck, and never places."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.nn import functional as F

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.patches.colour import colour_matrices, mix_channels
from ushape.patches.intensity import add_noise, invert, multiply, raise_to_power, shift, stretch
from ushape.patches.resolution import blur, coarsen
from ushape.patches.shade import ShadeConfig, apply_shade, draw_shade

NONE = dict.fromkeys(("brightness", "contrast", "gamma", "noise"), 0.0)
CHANCES = [name for name, field in ShadeConfig.model_fields.items() if f"{name}_range" in ShadeConfig.model_fields]
CHANCES += ["gray", "hue", "inversion", "noise", "blur", "gamma_inverted"]


def shaded(image: torch.Tensor, step: int = 0, **fields: object) -> torch.Tensor:
    rng = np.random.default_rng(step)
    return apply_shade(
        draw_shade(
            rng, ShadeConfig.model_validate({**NONE, "low_resolution_range": (0.5, 0.8), **fields}), image.shape
        ),
        image,
    )


def a_photo(batch: int = 4, space: tuple[int, ...] = (12, 16)) -> torch.Tensor:
    return torch.randn(batch, 3, *space, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(set(CHANCES)))
@pytest.mark.parametrize("space", [(12, 16), (6, 8, 10)])
def test_each_change_strikes_the_share_of_patches_that_its_probability_says(name: str, space: tuple[int, ...]) -> None:
    image = a_photo(40, space)
    changed = (shaded(image, **{name: 0.5}) != image).flatten(1).any(1)
    assert 10 <= int(changed.sum()) <= 30
    assert (shaded(image, **{name: 1.0}) != image).flatten(1).any(1).all()
    assert torch.equal(shaded(image), image)


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "saturation"])
def test_a_factor_of_one_changes_no_bit(name: str) -> None:
    image = a_photo()
    assert torch.equal(shaded(image, **{name: 1.0, f"{name}_range": (1.0, 1.0)}), image)


def test_gray_leaves_no_colour_and_leaves_gray_images_as_they_are() -> None:
    gray = shaded(a_photo(), gray=1.0)
    assert torch.allclose(gray, a_photo().mean(1, keepdim=True).expand_as(gray), atol=1e-6)
    assert torch.allclose(shaded(gray, hue=1.0, saturation=1.0, hue_degrees=180.0), gray, atol=1e-6)


def mixing(hue: float) -> torch.Tensor:
    return torch.from_numpy(colour_matrices(np.ones(1), np.array([hue]))).float()


def test_a_third_of_a_turn_exchanges_the_colours_and_keeps_their_brightness() -> None:
    photo = a_photo(1)
    turned = mix_channels(photo, mixing(2 * math.pi / 3))
    assert torch.allclose(turned, photo.roll(1, dims=1), atol=1e-5)
    slightly = mix_channels(photo, mixing(0.3))
    assert torch.allclose(slightly.mean(1), photo.mean(1), atol=1e-5)


def test_colours_of_an_image_that_has_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"augment.shade: hue: expected images with 3 channels, got 1"):
        shaded(torch.zeros(2, 1, 8, 8), hue=0.1)


def test_inversion_keeps_the_range_and_twice_is_nothing() -> None:
    image = a_photo()
    inverted = invert(image, torch.zeros(4, 1))
    assert torch.allclose(inverted.amax((2, 3)), image.amax((2, 3)))
    assert inverted[0, 0].argmax() == image[0, 0].argmin()
    assert torch.allclose(invert(inverted, torch.zeros(4, 1)), image, atol=1e-6)


def test_brightness_and_offset_are_a_line() -> None:
    image = a_photo(2)
    factor = torch.tensor([[2.0], [3.0]])
    assert torch.equal(multiply(image, factor)[1], image[1] * 3)
    assert torch.equal(shift(image, factor)[0], image[0] + 2)


def test_contrast_keeps_the_mean_of_what_it_does_not_clip() -> None:
    image = a_photo(1)
    flatter = stretch(image, torch.tensor([[0.5]]))
    assert torch.allclose(flatter.mean((2, 3)), image.mean((2, 3)), atol=1e-6)
    assert torch.allclose(flatter.std((2, 3)), image.std((2, 3)) / 2)
    steeper = stretch(image, torch.tensor([[2.0]]))
    assert steeper.max() <= image.max()


def test_gamma_keeps_the_range_or_the_statistics() -> None:
    image, power = a_photo(1), torch.tensor([[1.5]])
    ranged, matched = (raise_to_power(image, power, keep_statistics=keep) for keep in (False, True))
    assert torch.allclose(ranged.amin((2, 3)), image.amin((2, 3)), atol=1e-6)
    assert torch.allclose(ranged.amax((2, 3)), image.amax((2, 3)), atol=1e-5)
    assert (ranged <= image + 1e-6).all()
    assert torch.allclose(matched.mean((2, 3)), image.mean((2, 3)), atol=1e-5)
    assert torch.allclose(matched.std((2, 3)), image.std((2, 3)), atol=1e-5)


def test_inverted_gamma_is_gamma_of_the_negative() -> None:
    image, power = a_photo(1), torch.tensor([[1.5]])
    expected = -raise_to_power(-image, power)
    assert torch.allclose(raise_to_power(image, power, inverted=True), expected, atol=1e-5)


def test_noise_has_the_variance_that_was_drawn() -> None:
    zeros = torch.zeros(2, 1, 100, 100)
    noise = add_noise(zeros, torch.tensor([[0.1], [0.3]]), seed=1)
    assert torch.allclose(noise.std((1, 2, 3)), torch.tensor([0.1, 0.3]), rtol=0.05)


@pytest.mark.parametrize("space", [(40, 32), (12, 20, 16)])
def test_blur_is_the_gaussian_filter_of_scipy(space: tuple[int, ...]) -> None:
    image = a_photo(2, space)
    sigma = torch.tensor([[0.5, 1.0, 0.8], [1.5, 0.7, 0.6]])[:, : len(space)]
    blurred = blur(image, sigma, radius=12)
    for i in range(2):
        sigmas = (0.0, *sigma[i].tolist())
        expected = scipy.ndimage.gaussian_filter(image[i].numpy(), sigmas, mode="mirror", truncate=8.0)
        assert torch.allclose(blurred[i], torch.from_numpy(expected), atol=1e-5)


@pytest.mark.parametrize("space", [(40, 31), (12, 20, 17)])
def test_low_resolution_is_down_and_up_again(space: tuple[int, ...]) -> None:
    image, zoom = a_photo(3, space), [0.5, 0.83, 1.0]
    coarse = coarsen(image, torch.tensor(zoom)[:, None], axes=len(space))
    for i, share in enumerate(zoom):
        down = F.interpolate(image[i : i + 1], [round(size * share) for size in space], mode="nearest-exact")
        up = F.interpolate(down, space, mode="bilinear" if len(space) == 2 else "trilinear", align_corners=False)
        assert torch.allclose(coarse[i : i + 1], up, atol=1e-5)


@pytest.mark.parametrize("name", ["blur", "low_resolution"])
def test_in_plane_no_slice_loses_detail_to_another(name: str) -> None:
    image = torch.zeros(2, 1, 5, 12, 12)
    image[:, :, 1] = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    flat, through = (
        shaded(image, in_plane=plane, low_resolution_range=(0.5, 0.5), **{name: 1.0}) for plane in (True, False)
    )
    assert not torch.equal(flat, image)
    assert not flat[:, :, [0, 2, 3, 4]].any()
    assert through[:, :, [0, 2]].any()


def test_channels_are_changed_together_or_apart() -> None:
    ones = torch.ones(3, 2, 4, 4)
    together, apart = (shaded(ones, brightness=1.0, channels_apart=apart) for apart in (False, True))
    assert torch.equal(together[:, 0], together[:, 1])
    assert (apart[:, 0] != apart[:, 1]).all()


@pytest.mark.parametrize("change", [partial(raise_to_power, keep_statistics=True), raise_to_power, stretch, invert])
def test_a_constant_patch_stays_finite(change: partial) -> None:
    assert torch.equal(change(torch.full((1, 1, 4, 4), 3.0), torch.tensor([[1.4]])), torch.full((1, 1, 4, 4), 3.0))


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gamma_range: expected the lower limit first"):
        parse_config(ShadeConfig, {"gamma_range": [2, 1]}, "recipe.augment.shade")
