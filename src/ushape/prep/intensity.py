"""Intensity steps: make images comparable. They change values, never the grid, so their way back is no change.

Each step first measures the image, then changes it voxel by voxel, so that an image is changed part by part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, model_validator

from ushape.core.case import Case, image_in_memory
from ushape.core.config import Config
from ushape.core.errors import DataError
from ushape.prep.ct import Window
from ushape.prep.statistics import Change, Image, PerChannel, extremes, mean_and_std, parts, per_channel, percentiles

Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0)]


@runtime_checkable
class MeasuredStep(Protocol):
    """What every intensity step can do."""

    def measure(self, image: Image, /) -> Change:
        """Return how this image's values are to be changed."""
        ...


class Clip(Config):
    """Cut values off below `low` and above `high`, in the image's own unit (HU for CT)."""

    name: Literal["clip"] = "clip"
    low: float = -200.0
    high: float = 400.0

    def measure(self, _: Image) -> Change:
        """Cut both ends off; nothing depends on the image."""
        return lambda part: np.clip(part, self.low, self.high)


class ClipPercentiles(Config):
    """Cut values off below and above two percentiles of each channel, in [0, 100]."""

    name: Literal["clip_percentiles"] = "clip_percentiles"
    low: Percent = 0.5
    high: Percent = 99.5

    def measure(self, image: Image) -> Change:
        """Cut both ends off, channel by channel."""
        low, high = percentiles(image, [self.low, self.high])
        return lambda part: np.clip(part, low, high)


class MinMax(Config):
    """Map the smallest value of each channel to 0 and the largest to 1; a constant channel becomes 0."""

    name: Literal["minmax"] = "minmax"

    def measure(self, image: Image) -> Change:
        """Map each channel to [0, 1].

        >>> apply_steps(np.array([[[2.0, 4.0]]]), [MinMax()]).tolist()
        [[[0.0, 1.0]]]
        """
        low, high = extremes(image)
        return lambda part: _divide(part - low, high - low)


class Gamma(Config):
    """Raise values to a power; expects an image in [0, 1], so it stands after `minmax` or `window`."""

    name: Literal["gamma"] = "gamma"
    gamma: Positive = 0.8

    def measure(self, image: Image) -> Change:
        """Raise to a power; values outside [0, 1] are cut off first."""
        power = np.asarray(self.gamma, dtype=image.dtype)
        return lambda part: np.clip(part, 0, 1) ** power


class ZScore(Config):
    """Subtract each channel's mean and divide by its standard deviation; a constant channel becomes 0.

    Attributes:
        within: "nonzero" measures, and changes, only voxels that are not 0 in some channel when this step is reached;
            the others stay 0. For images cut out of their background, such as skull-stripped MR.
    """

    name: Literal["zscore"] = "zscore"
    within: Literal["image", "nonzero"] = "image"

    def measure(self, image: Image) -> Change:
        """Bring each channel to mean 0 and standard deviation 1.

        >>> apply_steps(np.array([[[2.0, 4.0]], [[7.0, 7.0]]]), [ZScore()]).tolist()
        [[[-1.0, 1.0]], [[0.0, 0.0]]]
        >>> apply_steps(np.array([[[0.0, 2.0, 4.0]]]), [ZScore(within="nonzero")]).tolist()
        [[[0.0, -1.0, 1.0]]]
        """
        nonzero = self.within == "nonzero"
        mean, std = mean_and_std(image, nonzero=nonzero)
        if nonzero:
            return lambda part: np.where((part != 0).any(axis=0), _divide(part - mean, std), part)
        return lambda part: _divide(part - mean, std)


class Fixed(Config):
    """Subtract a fixed mean and divide by a fixed standard deviation, one for all channels or one each."""

    name: Literal["fixed"] = "fixed"
    mean: tuple[float, ...] = (0.456,)
    std: tuple[Positive, ...] = (0.224,)

    def measure(self, image: Image) -> Change:
        """Shift and scale; nothing depends on the image."""
        mean, std = per_channel(self.mean, image), per_channel(self.std, image)
        return lambda part: (part - mean) / std


class DatasetStats(Config):
    """Cut values off and standardise them by numbers of the whole data set, one for all channels or one each.

    The plan fills them in. For images whose values mean the same everywhere, such as CT.

    Attributes:
        low: lower end, for instance the 0.5th percentile of the foreground.
        high: upper end, for instance its 99.5th percentile.
        mean: subtracted after the ends were cut off.
        std: divided by.
    """

    name: Literal["dataset_stats"] = "dataset_stats"
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[Positive, ...]

    @model_validator(mode="after")
    def _ends_are_ordered(self) -> DatasetStats:
        if len(self.low) != len(self.high) or any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("low and high need as many values, low never above high")
        return self

    def measure(self, image: Image) -> Change:
        """Clip, shift and scale; nothing depends on the image.

        >>> step = DatasetStats(low=(0,), high=(10,), mean=(4,), std=(2,))
        >>> apply_steps(np.array([[[-5.0, 4.0, 99.0]]]), [step]).tolist()
        [[[-2.0, 0.0, 3.0]]]
        """
        low, high, mean, std = (per_channel(values, image) for values in (self.low, self.high, self.mean, self.std))
        return lambda part: (np.clip(part, low, high) - mean) / std


IntensityStep = Annotated[
    Clip | ClipPercentiles | Window | MinMax | Gamma | ZScore | Fixed | DatasetStats, Field(discriminator="name")
]

PRESETS: dict[str, tuple[IntensityStep, ...]] = {
    "none": (),
    "zscore": (ZScore(),),
    "ct": (Clip(), MinMax(), Gamma(), ZScore()),
}
"""Chains that a recipe may name instead of listing their steps."""


def apply_steps(
    image: Float[ndarray, "channels *space"], steps: Iterable[MeasuredStep]
) -> Float[ndarray, "channels *space"]:
    """Return the image changed by some steps, one after the other."""
    for step in steps:
        image = step.measure(image)(image).astype(image.dtype, copy=False)
    return image


def normalise(case: Case, steps: Iterable[MeasuredStep], *, in_place: bool = False) -> Case:
    """Apply intensity steps to a case in float32.

    Memory: the image and its float32 copy, and a part of a few million voxels.

    Args:
        in_place: whether the case's image, if it is float32, may be overwritten.
    Raises:
        DataError: the image holds NaN or infinite values.
    """
    stored = image_in_memory(case)
    is_ready = in_place and stored.dtype == np.float32 and stored.flags.c_contiguous
    image = stored if is_ready else np.array(stored, dtype=np.float32, order="C")
    if not all(np.isfinite(part).all() for part in parts(image)):
        raise DataError(f"{case.source or case.name}: expected finite pixels, got NaN or inf; repair the image")
    for step in steps:
        change = step.measure(image)
        for part in parts(image):
            part[...] = change(part)
    return replace(case, image=image)


def _divide(image: ndarray, by: PerChannel) -> ndarray:
    """Divide by the spread of each channel; a spread that float32 cannot tell from none gives 0."""
    is_flat = by <= np.finfo(np.float32).tiny
    scaled = image / np.where(is_flat, 1, by).astype(image.dtype)
    return np.where(is_flat, np.zeros((), dtype=image.dtype), scaled)
