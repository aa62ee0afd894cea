"""What augmentation draws: which patches a change strikes, and how strongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
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
Share = Annotated[float, Field(gt=0, le=1)]
NotNegativeRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_in_order)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_in_order)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_in_order)]
"""Lower and upper limit of what is drawn; both the same fixes the value."""

Change = Callable[[Tensor, Tensor], Tensor]
"""From struck patches and one row of values for each to patches of the same shape."""


@dataclass(frozen=True)
class Strike:
    """One change, the patches that it strikes and its strength in each.

    Attributes:
        patches: positions in the batch.
        values: one row per struck patch; what a row holds is the change's business.
    """

    change: Change
    patches: Int[Tensor, " struck"]
    values: Float[Tensor, "struck *value"]


def draw_struck(rng: np.random.Generator, probability: float, batch: int) -> Int[ndarray, " struck"]:
    """Draw which patches of a batch are struck."""
    return np.flatnonzero(rng.random(batch) < probability) if probability else np.empty(0, dtype=np.int64)


def draw_factors(
    rng: np.random.Generator, limits: tuple[float, float], shape: tuple[int, ...]
) -> Float[ndarray, "*shape"]:
    """Draw factors, half of them below 1 and half above, if 1 lies between the limits; else evenly.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement (contrast and gamma).

    >>> round(float((draw_factors(np.random.default_rng(0), (0.9, 3.0), (10000,)) < 1).mean()), 1)
    0.5
    """
    low, high = limits
    if not low < 1 < high:
        return rng.uniform(low, high, shape)
    place = rng.uniform(-1, 1, shape)
    return 1 + place * np.where(place < 0, 1 - low, high - 1)


def make_strike(
    change: Change, patches: Int[ndarray, " struck"], values: Float[ndarray, "struck *value"], neutral: float
) -> Strike:
    """Keep what is struck by more than the neutral value, so that the rest stays bit-equal."""
    kept = (values != neutral).any(axis=tuple(range(1, values.ndim)))
    return Strike(change, torch.from_numpy(patches[kept]), torch.from_numpy(values[kept].astype(np.float32)))


def apply_strike(each: Strike, image: Tensor) -> None:
    """Change the struck patches of a batch in place; the others are not touched."""
    if len(each.patches) == 0:
        return
    values, patches = each.values.to(image.device), each.patches.to(image.device)
    if len(patches) == len(image):
        image.copy_(each.change(image, values))
    else:
        image.index_copy_(0, patches, each.change(image.index_select(0, patches), values))
