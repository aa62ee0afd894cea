"""What augmentation draws: whether a change strikes a patch, and how strongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import AfterValidator, Field
from torch import Tensor


def _in_order(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("expected the lower limit first")
    return limits


Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(_in_order)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegativeRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_in_order)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_in_order)]
Share = Annotated[float, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_in_order)]
"""Lower and upper limit of what is drawn; both the same fixes the value."""


@dataclass(frozen=True)
class Strike:
    """One change, the patches that it strikes and its strength in each.

    Attributes:
        change: from patches and values to patches of the same shape.
        patches: positions in the batch.
        values: one row per struck patch; what a row holds is the change's business.
    """

    change: Callable[[Tensor, Tensor], Tensor]
    patches: Int[Tensor, " struck"]
    values: Float[Tensor, "struck *value"]


def draw_strikes(rng: torch.Generator, probability: float, batch: int) -> Bool[Tensor, " b"]:
    """Draw which patches of a batch are struck."""
    return torch.rand(batch, generator=rng) < probability


def draw_values(rng: torch.Generator, limits: tuple[float, float], shape: tuple[int, ...]) -> Tensor:
    """Draw evenly between two limits."""
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=rng)


def draw_factors(rng: torch.Generator, limits: tuple[float, float], shape: tuple[int, ...]) -> Tensor:
    """Draw factors, half of them below 1 and half above, if 1 lies between the limits; else evenly.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement (contrast and gamma).

    >>> rng = torch.Generator().manual_seed(0)
    >>> round(float((draw_factors(rng, (0.9, 3.0), (10000,)) < 1).float().mean()), 1)
    0.5
    """
    low, high = limits
    place = draw_values(rng, (-1.0, 1.0), shape)
    if not low < 1 < high:
        return low + (high - low) * (place + 1) / 2
    return torch.where(place < 0, 1 + place * (1 - low), 1 + place * (high - 1))


def strike(change: Callable[[Tensor, Tensor], Tensor], struck: Bool[Tensor, " b"], values: Tensor) -> Strike:
    """Keep the values of the patches that are struck."""
    patches = struck.nonzero().flatten()
    return Strike(change, patches, values[patches])


def apply_strike(each: Strike, image: Tensor) -> None:
    """Change the struck patches of a batch in place; the others are not touched."""
    if len(each.patches) == 0:
        return
    values = each.values.to(image.device, image.dtype)
    if len(each.patches) == len(image):
        image.copy_(each.change(image, values))
        return
    patches = each.patches.to(image.device)
    image[patches] = each.change(image[patches], values)
