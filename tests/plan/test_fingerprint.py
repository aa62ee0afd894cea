"""The facts about a data set, without any decision."""

import pytest

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import Labels
from ushape.io.facts import ImageFacts
from ushape.plan.fingerprint import class_shares, take_fingerprint


def facts(*space: int, channels: int = 1, dtype: str = "uint8") -> ImageFacts:
    return ImageFacts(space, channels, dtype, 3.0, 200.0, "digest", Geometry.pixels(len(space)))


def test_sizes_are_summarised_per_axis() -> None:
    images = {"a": facts(10, 90), "b": facts(20, 50), "c": facts(60, 70)}
    found = take_fingerprint(images, Labels(), {0: 3, 255: 1})
    assert (found.min_size, found.median_size, found.max_size) == ((10, 50), (20, 70), (60, 90))
    assert (found.cases, found.ndim, found.unit) == (3, 2, "px")
    assert found.value_range == (3.0, 200.0)
    assert found.class_shares == (0.75, 0.25)


def test_gray_among_colour_counts_as_colour_and_the_usual_type_is_named() -> None:
    images = {"a": facts(8, 8, dtype="uint16"), "b": facts(8, 8, channels=3), "c": facts(8, 8, channels=3)}
    found = take_fingerprint(images, Labels(), {0: 1, 255: 1})
    assert (found.channels, found.dtype) == (3, "uint8")


def test_images_of_two_kinds_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected images of one kind, got 2D and 3D"):
        take_fingerprint({"a": facts(8, 8), "b": facts(8, 8, 8)}, Labels(), {0: 1})
    with pytest.raises(DataError, match="expected one number of channels"):
        take_fingerprint({"a": facts(8, 8, channels=2), "b": facts(8, 8, channels=3)}, Labels(), {0: 1})


def test_ignored_values_take_no_share_and_merged_ones_share_theirs() -> None:
    assert class_shares(Labels(values=(0, 1), ignore=255), {0: 60, 1: 20, 255: 900}) == (0.75, 0.25)
    merged = Labels(values=(0, 255), merge="foreground")
    assert class_shares(merged, {0: 50, 1: 10, 2: 40}) == (0.5, 0.5)


def test_a_class_that_never_occurs_has_no_share() -> None:
    three = Labels(names=("background", "a", "b"), values=(0, 1, 2))
    assert class_shares(three, {0: 1, 1: 1}) == (0.5, 0.5, 0.0)
