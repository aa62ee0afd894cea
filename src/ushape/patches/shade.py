"""Intensity augmentation: change values, never places. Drawing is apart from applying."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field
from torch import Tensor

from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.patches.chance import (
    Change,
    NotNegativeRange,
    PositiveRange,
    Probability,
    Range,
    ShareRange,
    Strike,
    apply_strike,
    draw_factors,
    draw_struck,
    make_strike,
)
from ushape.patches.colour import colour_matrices, mix_channels
from ushape.patches.intensity import add_noise, invert, multiply, raise_to_power, shift, stretch
from ushape.patches.resolution import blur, coarsen

DrawValues = Callable[[int], ndarray]
"""From the number of struck patches to a row of values for each."""

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

    @property
    def needs_colour(self) -> bool:
        """Whether a change of colour can strike."""
        return any(getattr(self, name) > 0 for name in COLOUR)

    def check(self, channels: int) -> None:
        """Refuse settings that do not fit images of so many channels.

        Raises:
            ConfigError: colours are to be changed in images that have none.
        """
        if self.needs_colour and channels != 3:
            wanted = " and ".join(name for name in COLOUR if getattr(self, name) > 0)
            raise ConfigError(f"augment.shade: {wanted}: expected images with 3 channels, got {channels}; set it to 0")


ShadeParams = tuple[Strike, ...]
"""What was drawn for one batch, in the order in which it is applied."""


def draw_shade(rng: np.random.Generator, config: ShadeConfig, shape: torch.Size) -> ShadeParams:
    """Draw the parameters for a batch of `shape` (b, channels, *space).

    Raises:
        ConfigError: colours are to be changed in images that have none.
    """
    config.check(shape[1])
    batch, columns = shape[0], shape[1] if config.channels_apart else 1
    axes = 2 if config.in_plane else len(shape) - 2
    power = partial(raise_to_power, keep_statistics=config.keep_statistics)
    noise = partial(add_noise, seed=int(rng.integers(2**31)))
    smear = partial(blur, radius=math.ceil(4 * config.blur_sigma[1]))

    def number(limits: tuple[float, float], columns: int) -> DrawValues:
        return lambda n: rng.uniform(*limits, (n, columns))

    def factor(limits: tuple[float, float]) -> DrawValues:
        return lambda n: draw_factors(rng, limits, (n, columns))

    draws: tuple[tuple[Change, float, DrawValues, float], ...] = (
        (invert, config.inversion, number((1.0, 1.0), 1), 0.0),
        (noise, config.noise, lambda n: np.sqrt(rng.uniform(*config.noise_variance, (n, 1))), 0.0),
        (smear, config.blur, number(config.blur_sigma, axes), 0.0),
        (multiply, config.brightness, factor(config.brightness_range), 1.0),
        (shift, config.offset, number(config.offset_range, columns), 0.0),
        (stretch, config.contrast, factor(config.contrast_range), 1.0),
        (partial(coarsen, axes=axes), config.low_resolution, number(config.low_resolution_range, 1), 1.0),
        (partial(power, inverted=True), config.gamma_inverted, factor(config.gamma_range), 1.0),
        (power, config.gamma, factor(config.gamma_range), 1.0),
    )
    strikes = [draw_colour(rng, config, batch)] if config.needs_colour else []
    for change, probability, draw_values, neutral in draws:
        patches = draw_struck(rng, probability, batch)
        if len(patches):
            strikes.append(make_strike(change, patches, draw_values(len(patches)), neutral))
    return tuple(strikes)


def draw_colour(rng: np.random.Generator, config: ShadeConfig, batch: int) -> Strike:
    """Draw saturation, gray and hue, which together are one mixing of channels."""
    saturation, hue = np.ones(batch), np.zeros(batch)
    patches = draw_struck(rng, config.saturation, batch)
    saturation[patches] = rng.uniform(*config.saturation_range, len(patches))
    saturation[draw_struck(rng, config.gray, batch)] = 0.0
    patches = draw_struck(rng, config.hue, batch)
    hue[patches] = np.radians(rng.uniform(-config.hue_degrees, config.hue_degrees, len(patches)))
    struck = np.flatnonzero((saturation != 1) | (hue != 0))
    return make_strike(mix_channels, struck, colour_matrices(saturation[struck], hue[struck]), 0.0)


def apply_shade(params: ShadeParams, image: Float[Tensor, "b channels *space"]) -> Float[Tensor, "b channels *space"]:
    """Change the values of a batch.

    >>> params = (Strike(multiply, torch.tensor([0]), torch.tensor([[2.0]])),)
    >>> apply_shade(params, torch.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[2.0, 6.0]]]]
    """
    image = image.clone()
    for each in params:
        apply_strike(each, image)
    return image
