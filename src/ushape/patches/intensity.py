"""Changes of single values: noise, brightness, contrast, gamma, inversion.

Each takes struck patches and its values, one row per patch with one column for all channels or one for each.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_SPAN = 1e-7


def add_noise(
    patches: Float[Tensor, "n channels *space"], sigma: Float[Tensor, "n columns"], *, seed: int
) -> Float[Tensor, "n channels *space"]:
    """Add Gaussian noise, made on the device of the patches."""
    rng = torch.Generator(patches.device).manual_seed(seed)
    return torch.empty_like(patches).normal_(generator=rng).mul_(_column(sigma, patches)).add_(patches)


def invert(patches: Float[Tensor, "n channels *space"], _: Tensor) -> Float[Tensor, "n channels *space"]:
    """Mirror each channel's values in the middle of their range.

    >>> invert(torch.tensor([[[0.0, 1.0, 5.0]]]), torch.zeros(1, 1)).tolist()
    [[[5.0, 4.0, 0.0]]]
    """
    low, high = _range(patches)
    return low + high - patches


def multiply(
    patches: Float[Tensor, "n channels *space"], factor: Float[Tensor, "n columns"]
) -> Float[Tensor, "n channels *space"]:
    """Multiply the values."""
    return patches * _column(factor, patches)


def shift(
    patches: Float[Tensor, "n channels *space"], offset: Float[Tensor, "n columns"]
) -> Float[Tensor, "n channels *space"]:
    """Add a number to the values."""
    return patches + _column(offset, patches)


def stretch(
    patches: Float[Tensor, "n channels *space"], factor: Float[Tensor, "n columns"]
) -> Float[Tensor, "n channels *space"]:
    """Multiply the distance of the values from their mean, kept in the old range."""
    mean, (low, high) = patches.mean(_space(patches), keepdim=True), _range(patches)
    return torch.lerp(mean, patches, _column(factor, patches)).clamp_(low, high)


def raise_to_power(
    patches: Float[Tensor, "n channels *space"],
    power: Float[Tensor, "n columns"],
    *,
    keep_statistics: bool = False,
    inverted: bool = False,
) -> Float[Tensor, "n channels *space"]:
    """Map each channel to [0, 1], raise it to a power, and map it back.

    Args:
        keep_statistics: give each channel its old mean and standard deviation back, instead of its old range.
        inverted: do so with the negative, so that the bright end is bent as the dark end would be.

    >>> raise_to_power(torch.tensor([[[0.0, 2.0, 4.0]]]), torch.tensor([[2.0]])).tolist()
    [[[0.0, 1.0, 4.0]]]
    """
    low, high = _range(patches)
    span = (high - low).clamp_min(SMALLEST_SPAN)
    start, sign = (high, -1) if inverted else (low, 1)
    raised = (patches - start).mul_(sign / span).pow_(_column(power, patches)).mul_(span * sign).add_(start)
    return _match(raised, patches) if keep_statistics else raised


def _match(patches: Tensor, model: Tensor) -> Tensor:
    mean, std = _statistics(model)
    mean_here, std_here = _statistics(patches)
    return (patches - mean_here).mul_(std / std_here.clamp_min(SMALLEST_SPAN)).add_(mean)


def _statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel; torch's own `std_mean` takes ten times as long."""
    mean = patches.mean(_space(patches), keepdim=True)
    norm = torch.linalg.vector_norm(patches - mean, dim=_space(patches), keepdim=True)
    return mean, norm / math.sqrt(math.prod(patches.shape[2:]))


def _range(patches: Tensor) -> tuple[Tensor, Tensor]:
    return patches.amin(_space(patches), keepdim=True), patches.amax(_space(patches), keepdim=True)


def _space(patches: Tensor) -> tuple[int, ...]:
    return tuple(range(2, patches.ndim))


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(*values.shape, *[1] * (like.ndim - 2))
