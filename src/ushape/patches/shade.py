"""Intensity augmentation: change values, never places. Drawing is apart from applying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from ushape.core.config import Config

Probability = Annotated[float, Field(ge=0, le=1)]


class ShadeConfig(Config):
    """How the values of patches are changed; each change strikes a patch with its own probability.

    Attributes:
        brightness: probability of multiplying by 0.75..1.25.
        contrast: probability of stretching around the patch's mean by 0.75..1.25, kept in the old range.
        gamma: probability of raising the patch, mapped to [0, 1], to a power of 0.7..1.5.
        noise: probability of adding Gaussian noise with a variance of up to 0.1.
    """

    brightness: Probability = 0.15
    contrast: Probability = 0.15
    gamma: Probability = 0.3
    noise: Probability = 0.1


@dataclass(frozen=True)
class ShadeParams:
    """What was drawn for one batch; a factor of 1 and a sigma of 0 change nothing.

    Attributes:
        brightness: factor per patch.
        contrast: factor per patch.
        gamma: power per patch.
        sigma: standard deviation of the noise per patch.
        noise_seed: of the generator that makes the noise on the device of the batch.
    """

    brightness: Float[Tensor, " b"]
    contrast: Float[Tensor, " b"]
    gamma: Float[Tensor, " b"]
    sigma: Float[Tensor, " b"]
    noise_seed: int


def draw_shade(rng: torch.Generator, config: ShadeConfig, batch: int) -> ShadeParams:
    """Draw the parameters for a batch."""

    def draw(probability: float, low: float, high: float, neutral: float) -> Tensor:
        strikes = torch.rand(batch, generator=rng) < probability
        values = low + (high - low) * torch.rand(batch, generator=rng)
        return torch.where(strikes, values, neutral)

    return ShadeParams(
        brightness=draw(config.brightness, 0.75, 1.25, 1.0),
        contrast=draw(config.contrast, 0.75, 1.25, 1.0),
        gamma=draw(config.gamma, 0.7, 1.5, 1.0),
        sigma=draw(config.noise, 0.0, 0.1, 0.0).sqrt(),
        noise_seed=int(torch.randint(2**31, (), generator=rng)),
    )


def apply_shade(params: ShadeParams, image: Float[Tensor, "b channels *space"]) -> Float[Tensor, "b channels *space"]:
    """Change the values of a batch.

    >>> params = ShadeParams(*[torch.tensor([v]) for v in (2.0, 1.0, 1.0, 0.0)], noise_seed=0)
    >>> apply_shade(params, torch.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[2.0, 6.0]]]]
    """
    if bool((params.sigma > 0).any()):
        rng = torch.Generator(image.device).manual_seed(params.noise_seed)
        noise = torch.empty_like(image).normal_(generator=rng)
        image = image + noise * _column(params.sigma, image)
    image = image * _column(params.brightness, image)
    if bool((params.contrast != 1).any()):
        image = _stretch(image, _column(params.contrast, image))
    if bool((params.gamma != 1).any()):
        image = _raise(image, _column(params.gamma, image))
    return image


def _stretch(image: Tensor, factor: Tensor) -> Tensor:
    space = tuple(range(2, image.ndim))
    mean = image.mean(space, keepdim=True)
    return torch.clamp((image - mean) * factor + mean, image.amin(space, keepdim=True), image.amax(space, keepdim=True))


def _raise(image: Tensor, power: Tensor) -> Tensor:
    space = tuple(range(2, image.ndim))
    low, high = image.amin(space, keepdim=True), image.amax(space, keepdim=True)
    span = (high - low).clamp_min(1e-7)
    return torch.where(power == 1, image, ((image - low) / span).clamp(0, 1) ** power * span + low)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device, like.dtype).reshape(-1, *[1] * (like.ndim - 1))
