"""Intensity augmentation: change values, never places. Drawing is apart from applying."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.patches.chance import (
    NotNegativeRange,
    PositiveRange,
    Probability,
    Range,
    ShareRange,
    Strike,
    apply_strike,
    draw_factors,
    draw_strikes,
    draw_values,
    strike,
)
from ushape.patches.colour import colour_matrices, mix_channels
from ushape.patches.intensity import add_noise, invert, multiply, raise_to_power, shift, stretch
from ushape.patches.resolution import blur, coarsen

COLOUR = ("saturation", "gray", "hue")


class ShadeConfig(Config):
    """How the values of patches are changed; each change strikes a patch with its own probability.

    The values are normalised ones: 1 is about the standard deviation of a case.

    Attributes:
        saturation: probability of more or less colour; needs images with 3 channels.
        saturation_range: 0 is gray, 1 as it was.
        gray: probability of no colour at all; needs 3 channels.
        hue: probability of other colours, turned around the gray axis; needs 3 channels.
        hue_degrees: largest angle of that turn; 120 makes red green.
        inversion: probability of dark for bright, within the patch's range.
        noise: probability of adding Gaussian noise.
        noise_variance: of that noise.
        blur: probability of a Gaussian blur.
        blur_sigma: of the Gaussian, in voxels, drawn anew for each axis.
        brightness: probability of multiplying.
        brightness_range: of the factor.
        offset: probability of adding a number.
        offset_range: of the number.
        contrast: probability of stretching around the patch's mean, kept in the old range.
        contrast_range: of the factor.
        low_resolution: probability of sampling at a lower resolution and back.
        low_resolution_range: of the share of voxels that is kept along each axis.
        gamma_inverted: probability of a gamma change of the inverted patch, inverted back.
        gamma: probability of raising the patch, mapped to [0, 1], to a power.
        gamma_range: of the power, for both.
        keep_statistics: whether a gamma change gives the patch its old mean and standard deviation back.
        in_plane: blur and low resolution act on the last two axes only; for volumes with thick slices.
        channels_apart: draw brightness, offset, contrast and gamma anew for each channel of a struck patch.
    """

    saturation: Probability = 0.0
    saturation_range: NotNegativeRange = (0.0, 2.0)
    gray: Probability = 0.0
    hue: Probability = 0.0
    hue_degrees: Annotated[float, Field(ge=0, le=180)] = 20.0
    inversion: Probability = 0.0
    noise: Probability = 0.1
    noise_variance: NotNegativeRange = (0.0, 0.1)
    blur: Probability = 0.0
    blur_sigma: PositiveRange = (0.5, 1.0)
    brightness: Probability = 0.15
    brightness_range: NotNegativeRange = (0.75, 1.25)
    offset: Probability = 0.0
    offset_range: Range = (-0.2, 0.2)
    contrast: Probability = 0.15
    contrast_range: NotNegativeRange = (0.75, 1.25)
    low_resolution: Probability = 0.0
    low_resolution_range: ShareRange = (0.5, 1.0)
    gamma_inverted: Probability = 0.0
    gamma: Probability = 0.3
    gamma_range: PositiveRange = (0.7, 1.5)
    keep_statistics: bool = False
    in_plane: bool = False
    channels_apart: bool = False

    def check(self, channels: int) -> None:
        """Refuse settings that do not fit images of so many channels.

        Raises:
            ConfigError: colours are to be changed in images that have none.
        """
        wanted = [name for name in COLOUR if getattr(self, name) > 0]
        if wanted and channels != 3:
            raise ConfigError(
                f"augment.shade.{wanted[0]}: expected images with 3 channels, got {channels}; set it to 0"
            )


ShadeParams = tuple[Strike, ...]
"""What was drawn for one batch, in the order in which it is applied."""


def draw_shade(rng: torch.Generator, config: ShadeConfig, shape: torch.Size) -> ShadeParams:
    """Draw the parameters for a batch of `shape` (b, channels, *space).

    Raises:
        ConfigError: colours are to be changed in images that have none.
    """
    config.check(shape[1])
    batch, columns = shape[0], shape[1] if config.channels_apart else 1
    ndim = len(shape) - 2
    moved = torch.arange(ndim) >= (ndim - 2 if config.in_plane else 0)
    sigma = draw_values(rng, config.blur_sigma, (batch, ndim)) * moved
    zoom = torch.where(moved, draw_values(rng, config.low_resolution_range, (batch, 1)), 1.0)
    noise = partial(add_noise, seed=int(torch.randint(2**31, (), generator=rng)))
    power = partial(raise_to_power, keep_statistics=config.keep_statistics)
    power_inverted = partial(raise_to_power, keep_statistics=config.keep_statistics, inverted=True)

    def draw(change: Change, probability: float, values: Tensor, neutral: float) -> Strike:
        struck = draw_strikes(rng, probability, batch) & (values != neutral).any(1)
        return strike(change, struck, values)

    def factors(limits: tuple[float, float]) -> Tensor:
        return draw_factors(rng, limits, (batch, columns))

    return (
        draw_colour(rng, config, batch),
        strike(invert, draw_strikes(rng, config.inversion, batch), torch.zeros(batch, 1)),
        draw(noise, config.noise, draw_values(rng, config.noise_variance, (batch, 1)).sqrt(), 0.0),
        draw(blur, config.blur, sigma, 0.0),
        draw(multiply, config.brightness, factors(config.brightness_range), 1.0),
        draw(shift, config.offset, draw_values(rng, config.offset_range, (batch, columns)), 0.0),
        draw(stretch, config.contrast, factors(config.contrast_range), 1.0),
        draw(coarsen, config.low_resolution, zoom, 1.0),
        draw(power_inverted, config.gamma_inverted, factors(config.gamma_range), 1.0),
        draw(power, config.gamma, factors(config.gamma_range), 1.0),
    )


Change = Callable[[Tensor, Tensor], Tensor]


def draw_colour(rng: torch.Generator, config: ShadeConfig, batch: int) -> Strike:
    """Draw saturation, gray and hue, which together are one mixing of channels."""

    def draw(probability: float, limits: tuple[float, float], neutral: float) -> Tensor:
        return torch.where(draw_strikes(rng, probability, batch), draw_values(rng, limits, (batch,)), neutral)

    most = math.radians(config.hue_degrees)
    saturation = draw(config.saturation, config.saturation_range, 1.0) * draw(config.gray, (0.0, 0.0), 1.0)
    hue = draw(config.hue, (-most, most), 0.0)
    struck: Bool[Tensor, " b"] = (saturation != 1) | (hue != 0)
    return strike(mix_channels, struck, colour_matrices(saturation, hue))


def apply_shade(params: ShadeParams, image: Float[Tensor, "b channels *space"]) -> Float[Tensor, "b channels *space"]:
    """Change the values of a batch.

    >>> params = (strike(multiply, torch.tensor([True]), torch.tensor([[2.0]])),)
    >>> apply_shade(params, torch.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[2.0, 6.0]]]]
    """
    image = image.clone()
    for each in params:
        apply_strike(each, image)
    return image
