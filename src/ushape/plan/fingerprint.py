"""The facts about a data set on which the rules decide. Facts only: nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ushape.core.config import Config
from ushape.core.errors import ShapeError
from ushape.core.labels import Labels
from ushape.io.facts import ImageFacts, common_channels


class Fingerprint(Config):
    """What a data set is like. Sizes and spacings are per axis, in array axis order.

    Attributes:
        cases: how many there are.
        channels: of the images; gray images among coloured ones count as coloured, colour files that are gray as gray.
        dtype: the most frequent stored type.
        unit: of the spacing, "mm" or "px".
        value_range: the lowest and the highest pixel value of all images.
        class_shares: share of all labelled voxels that each class takes, the background first.
    """

    cases: int
    channels: int
    dtype: str
    min_size: tuple[int, ...]
    median_size: tuple[int, ...]
    max_size: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str
    value_range: tuple[float, float]
    class_shares: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.median_size)

    @property
    def voxels(self) -> float:
        """The data set's size in voxels, about."""
        return float(np.prod(self.median_size)) * self.cases


def take_fingerprint(
    images: Mapping[str, ImageFacts], labels: Labels, pixels_per_value: Mapping[int, int]
) -> Fingerprint:
    """Bring the facts of all images together.

    Args:
        images: by file name, for messages.
        pixels_per_value: how often each label value occurs in the mask files.
    Raises:
        DataError: the images are of different dimensions, or of channels that do not go together.
    """
    facts = list(images.values())
    sizes = [fact.space for fact in facts]
    if len({len(size) for size in sizes}) > 1:
        raise ShapeError("data set: expected images of one kind, got 2D and 3D; train on each kind by itself")
    return Fingerprint(
        cases=len(facts),
        channels=common_channels(images),
        dtype=Counter(fact.dtype for fact in facts).most_common(1)[0][0],
        min_size=_per_axis(sizes, np.min),
        median_size=_per_axis(sizes, np.median),
        max_size=_per_axis(sizes, np.max),
        spacing=tuple(float(value) for value in np.median([fact.geometry.spacing for fact in facts], axis=0)),
        unit=facts[0].geometry.unit,
        value_range=(min(fact.low for fact in facts), max(fact.high for fact in facts)),
        class_shares=class_shares(labels, pixels_per_value),
    )


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


def _per_axis(sizes: Sequence[tuple[int, ...]], reduce: Callable[..., np.ndarray]) -> tuple[int, ...]:
    return tuple(int(value) for value in reduce(sizes, axis=0))
