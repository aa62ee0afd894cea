"""The facts about a data set on which the rules decide. Facts only: nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from ushape.core.config import Config
from ushape.core.errors import ShapeError
from ushape.core.labels import Labels
from ushape.io.facts import common_channels
from ushape.plan.facts import CaseFacts


class Intensity(Config):
    """How bright the foreground of a data set is in one channel; each case counts alike.

    Attributes:
        low: the 0.5th percentile.
        high: the 99.5th percentile.
    """

    low: float
    high: float
    mean: float
    std: float


class Fingerprint(Config):
    """What a data set is like. Sizes and spacings are per axis, in array axis order.

    Volumes in mm are taken as if their axes ran towards superior, anterior and right, whatever their files do.

    Attributes:
        cases: how many there are.
        channels: of the images; gray images among coloured ones count as coloured, colour files that are gray as gray.
        channel_names: as the data set calls them; () if it does not.
        dtype: the most frequent stored type.
        is_whole: whether all intensities are whole numbers.
        spacing: the median of the cases.
        spacing_p10: the 10th percentile of the cases, the fine end.
        spacing_min: of any case.
        spacing_max: of any case.
        unit: of the spacing: "mm" where all cases say theirs, else "px", and all spacings are 1.
        content_size: median size of the box around what is not 0.
        content_removed: median share of the voxels that lie outside that box.
        value_range: the lowest and the highest pixel value of all images.
        median_low: the median of the images' lowest values.
        foreground: per channel; () where no case has foreground.
        class_shares: share of all labelled voxels that each class takes, the background first.
        class_order: per axis, how sure it is that of some two classes the same one always comes first.
    """

    cases: int
    channels: int
    channel_names: tuple[str, ...] = ()
    dtype: str
    is_whole: bool
    min_size: tuple[int, ...]
    median_size: tuple[int, ...]
    max_size: tuple[int, ...]
    spacing: tuple[float, ...]
    spacing_p10: tuple[float, ...]
    spacing_min: tuple[float, ...]
    spacing_max: tuple[float, ...]
    unit: str
    content_size: tuple[int, ...]
    content_removed: float
    value_range: tuple[float, float]
    median_low: float
    foreground: tuple[Intensity, ...]
    class_shares: tuple[float, ...]
    class_order: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.median_size)


def take_fingerprint(
    cases: Mapping[str, CaseFacts],
    labels: Labels,
    pixels_per_value: Mapping[int, int],
    channel_names: Sequence[str] = (),
) -> Fingerprint:
    """Bring the facts of all cases together.

    Args:
        cases: by file name, for messages.
        pixels_per_value: how often each label value occurs in the mask files.
        channel_names: what the data set calls its channels, if it does.
    Raises:
        DataError: the images are of different dimensions, or of channels that do not go together.
    """
    facts = list(cases.values())
    sizes, contents = [fact.space for fact in facts], [fact.content for fact in facts]
    if len({len(size) for size in sizes}) > 1:
        raise ShapeError("data set: expected images of one kind, got 2D and 3D; train on each kind by itself")
    unit, spacings = _spacings(facts)
    channels = common_channels(cases)
    return Fingerprint(
        cases=len(facts),
        channels=channels,
        channel_names=tuple(channel_names),
        dtype=Counter(fact.dtype for fact in facts).most_common(1)[0][0],
        is_whole=all(fact.is_whole for fact in facts),
        min_size=_per_axis(sizes, np.min),
        median_size=_per_axis(sizes, np.median),
        max_size=_per_axis(sizes, np.max),
        spacing=_floats(np.median(spacings, axis=0)),
        spacing_p10=_floats(np.percentile(spacings, 10, axis=0)),
        spacing_min=_floats(spacings.min(axis=0)),
        spacing_max=_floats(spacings.max(axis=0)),
        unit=unit,
        content_size=_per_axis(contents, np.median),
        content_removed=float(np.median(1 - np.prod(contents, axis=1) / np.prod(sizes, axis=1))),
        value_range=(min(fact.low for fact in facts), max(fact.high for fact in facts)),
        median_low=float(np.median([fact.low for fact in facts])),
        foreground=measure_foreground([fact.foreground for fact in facts], channels),
        class_shares=class_shares(labels, pixels_per_value),
        class_order=measure_order(np.stack([fact.centres for fact in facts])),
    )


def measure_foreground(samples: Sequence[Float32[ndarray, "_ _"]], channels: int) -> tuple[Intensity, ...]:
    """Describe the foreground's intensities; the one channel of a gray picture stands for all.

    >>> measure_foreground([np.array([[1.0, 3.0]], dtype=np.float32)], 1)
    (Intensity(low=1.01, high=2.99, mean=2.0, std=1.0),)
    """
    pooled = np.concatenate([np.broadcast_to(one, (channels, one.shape[1])) for one in samples], axis=1)
    if not pooled.size:
        return ()
    return tuple(_describe(channel.astype(np.float64)) for channel in pooled)


def measure_order(centres: Float64[ndarray, "cases classes axes"]) -> tuple[float, ...]:
    """Say per axis how sure it is that of some two classes the same one always comes first, 0.5 for no order.

    Of all pairs of classes the surest counts. If in n cases with both the same one is first in k, the next case has
    them so with probability (k + 1) / (n + 2), Laplace's rule of succession: a few cases prove little.

    >>> measure_order(np.array([[[0.0, 5.0], [9.0, 5.0]]] * 8))
    (0.9, 0.5)
    """
    surest = np.full(centres.shape[2], 0.5)
    for one, other in combinations(range(centres.shape[1]), 2):
        apart = centres[:, other] - centres[:, one]
        first, last = (apart > 0).sum(axis=0), (apart < 0).sum(axis=0)
        surest = np.maximum(surest, (np.maximum(first, last) + 1) / ((~np.isnan(apart)).sum(axis=0) + 2))
    return _floats(surest)


def class_shares(labels: Labels, pixels_per_value: Mapping[int, int]) -> tuple[float, ...]:
    """Return the share of the labelled voxels that each class takes.

    >>> class_shares(Labels(values=(0, 255)), {0: 300, 255: 100})
    (0.75, 0.25)
    """
    counted = {value: count for value, count in pixels_per_value.items() if value != labels.ignore}
    total = max(sum(counted.values()), 1)
    if labels.merge == "foreground":
        background = counted.get(0, 0) / total
        return (background, 1 - background)
    return tuple(counted.get(value, 0) / total for value in labels.values)


def _spacings(facts: Sequence[CaseFacts]) -> tuple[str, Float64[ndarray, "cases axes"]]:
    """Return unit and spacing of all cases: in pixels, 1 each, where a case does not say."""
    spacings = np.array([fact.spacing for fact in facts])
    has_unit = all(fact.unit == "mm" for fact in facts)
    return ("mm", spacings) if has_unit else ("px", np.ones_like(spacings))


def _describe(values: ndarray) -> Intensity:
    low, high = np.percentile(values, (0.5, 99.5))
    return Intensity(low=_round(low), high=_round(high), mean=_round(values.mean()), std=_round(values.std()))


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _per_axis(sizes: Sequence[tuple[int, ...]], reduce: Callable[..., np.ndarray]) -> tuple[int, ...]:
    return tuple(int(value) for value in reduce(sizes, axis=0))


def _floats(values: ndarray) -> tuple[float, ...]:
    return tuple(_round(value) for value in values)
