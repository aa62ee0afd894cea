"""Statistics of whole images, gathered part by part so that no copy of the image is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.core.errors import ShapeError


@runtime_checkable
class Image(Protocol):
    """(channels, *space) in floats: an array, or one that is read part by part."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of every axis."""
        ...

    @property
    def dtype(self) -> Any:
        """The type of an element."""
        ...

    @property
    def ndim(self) -> int:
        """The number of axes."""
        ...

    def __len__(self) -> int:
        """The number of channels."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Cut a part."""
        ...


Change = Callable[[ndarray], ndarray]
"""Changes the values of (channels, *part) voxel by voxel, in the same way for every part of an image."""
PerChannel = Float[ndarray, "#channels *ones"]
"""One value per channel, shaped to fit any part of the image."""

VOXELS_PER_PART = 2**22


def parts(image: Image) -> Iterator[ndarray]:
    """Cut (channels, *space) along its first spatial axis into parts of a few million voxels; views of an array."""
    rows = max(VOXELS_PER_PART // max(math.prod(image.shape) // max(image.shape[1], 1), 1), 1)
    for start in range(0, image.shape[1], rows):
        yield image[:, start : start + rows]


def mean_and_std(image: Image, *, nonzero: bool = False) -> tuple[PerChannel, PerChannel]:
    """Return each channel's mean and standard deviation (of the population).

    Args:
        nonzero: whether only voxels count that are not 0 in some channel; mean and deviation are 0 if there are none.
    """
    mean = _average(image, lambda voxels: voxels, nonzero=nonzero)
    variance = _average(image, lambda voxels: (voxels - mean[:, None]) ** 2, nonzero=nonzero)
    return per_channel(mean, image), per_channel(np.sqrt(variance), image)


def extremes(image: Image) -> tuple[PerChannel, PerChannel]:
    """Return each channel's smallest and largest value."""
    ends = [
        (part.reshape(len(image), -1).min(axis=1), part.reshape(len(image), -1).max(axis=1)) for part in parts(image)
    ]
    low, high = np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)
    return per_channel(low, image), per_channel(high, image)


def percentiles(image: Image, ranks: Sequence[float]) -> tuple[PerChannel, ...]:
    """Return some percentiles of each channel; copies one channel at a time.

    Args:
        ranks: in [0, 100].
    """
    found = np.stack([np.percentile(image[channel], ranks) for channel in range(len(image))], axis=1)
    return tuple(per_channel(values, image) for values in found)


def per_channel(values: Sequence[float] | ndarray, image: Image) -> PerChannel:
    """Shape one value for all channels, or one for each, so that it fits the image.

    Raises:
        ShapeError: there are neither one nor as many values as channels.
    """
    if len(values) not in (1, len(image)):
        raise ShapeError(f"prep.intensity: expected 1 value or {len(image)}, one per channel, got {list(values)}")
    return np.asarray(values, dtype=image.dtype).reshape(-1, *[1] * (image.ndim - 1))


def _average(image: Image, change: Change, *, nonzero: bool) -> Float[ndarray, " channels"]:
    total, count = np.zeros(len(image)), 0
    for part in parts(image):
        voxels = part[:, (part != 0).any(axis=0)] if nonzero else part.reshape(len(part), -1)
        total += change(voxels).sum(axis=1, dtype=np.float64)
        count += voxels.shape[1]
    return total / max(count, 1)
