"""The facts about a data set, without any decision."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import Labels
from ushape.plan.facts import CaseFacts, take_facts
from ushape.plan.fingerprint import class_shares, measure_order, take_fingerprint

LPS = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))


def look(
    image: np.ndarray, label: np.ndarray | None = None, geometry: Geometry | None = None, n: int = 50
) -> CaseFacts:
    return take_facts(Case("a", image, geometry or Geometry.pixels(image.ndim - 1), label), n, classes=1)


def facts(*space: int, **changes: Any) -> CaseFacts:
    image = np.full((1, *space), 3, dtype=np.uint8)
    image.flat[-1] = 200
    return replace(look(image, np.ones(space, dtype=np.int16)), **changes)


def millimetres(*spacing: float) -> Geometry:
    return Geometry(spacing, "mm", (0.0,) * 3, LPS)


def test_sizes_and_values_are_summarised() -> None:
    found = take_fingerprint({"a": facts(10, 90), "b": facts(20, 50), "c": facts(60, 70)}, Labels(), {0: 3, 255: 1})
    assert (found.min_size, found.median_size, found.max_size) == ((10, 50), (20, 70), (60, 90))
    assert (found.cases, found.ndim, found.unit, found.spacing) == (3, 2, "px", (1.0, 1.0))
    assert (found.value_range, found.median_low, found.is_whole) == ((3.0, 200.0), 3.0, True)
    assert found.class_shares == (0.75, 0.25)


def test_spacings_are_summarised_per_axis() -> None:
    cases = {str(z): facts(9, 9, 9, spacing=(float(z), 1.0, 1.0), unit="mm") for z in range(1, 12)}
    found = take_fingerprint(cases, Labels(), {0: 1, 255: 1})
    assert (found.spacing, found.spacing_p10) == ((6.0, 1.0, 1.0), (2.0, 1.0, 1.0))
    assert (found.spacing_min, found.spacing_max) == ((1.0, 1.0, 1.0), (11.0, 1.0, 1.0))


def test_spacings_of_which_some_are_not_known_count_as_pixels() -> None:
    cases = {"a": facts(9, 9, spacing=(0.5, 0.5), unit="mm"), "b": facts(9, 9)}
    found = take_fingerprint(cases, Labels(), {0: 1, 255: 1})
    assert (found.unit, found.spacing, found.spacing_max) == ("px", (1.0, 1.0), (1.0, 1.0))


def test_the_axes_of_volumes_in_mm_are_those_of_the_body() -> None:
    sagittal = Geometry((4.0, 2.0, 1.0), "mm", (0.0,) * 3, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)))
    image = np.zeros((1, 5, 6, 7))
    image[:, 1:3, 1:4, 1:5] = 1
    found = look(image, geometry=sagittal)
    assert (found.space, found.spacing, found.content) == ((7, 6, 5), (1.0, 2.0, 4.0), (4, 3, 2))
    assert look(image).space == (5, 6, 7)
    assert look(image, geometry=millimetres(4.0, 2.0, 1.0)).spacing == (4.0, 2.0, 1.0)


def test_foreground_is_measured_in_each_channel_and_each_case_counts_alike() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random((20, 40, 40)) < 0.3).astype(np.int16)
    bright = np.where(label > 0, rng.normal(100, 10, label.shape), 1e6)
    image = np.stack([bright, -bright])
    whole, some = look(image, label, n=10**6), look(image, label, n=500)
    assert (whole.foreground.shape[1], some.foreground.shape[1]) == (label.sum(), 500)
    found = take_fingerprint({"a": some, "b": look(image + 200, label, n=500)}, Labels(), {0: 1, 255: 1}).foreground
    assert [round(one.mean / 200, 1) for one in found] == [1.0, 0.0]
    assert found[0].std == pytest.approx(100, rel=0.05)
    assert (found[0].low, found[0].high) == (pytest.approx(77, abs=5), pytest.approx(323, abs=5))


def test_ignored_voxels_are_no_foreground_and_a_case_without_any_has_no_sample() -> None:
    label = np.full((4, 4), -1, dtype=np.int16)
    assert look(np.ones((1, 4, 4)), label).foreground.shape == (1, 0)
    assert take_fingerprint({"a": look(np.ones((1, 4, 4)))}, Labels(), {0: 1}).foreground == ()


def test_the_empty_margin_is_measured() -> None:
    image = np.zeros((1, 10, 10), dtype=np.uint8)
    image[:, 2:7, 0:4] = 9
    found = take_fingerprint({"a": look(image), "b": facts(10, 10), "c": look(image)}, Labels(), {0: 1})
    assert (found.content_size, found.content_removed) == ((5, 4), pytest.approx(0.8))


def test_fractions_are_told_from_whole_numbers_of_any_type() -> None:
    label = np.ones((4, 4), dtype=np.int16)
    assert look(np.full((1, 4, 4), -1000.0), label).is_whole
    assert not look(np.full((1, 4, 4), 0.5), label).is_whole


def test_gray_among_colour_counts_as_colour_and_the_usual_type_is_named() -> None:
    label, rng = np.ones((8, 8), dtype=np.int16), np.random.default_rng(0)
    colour = rng.integers(0, 255, (3, 8, 8)).astype(np.uint8)
    images = {"a": look(colour[:1].astype(np.uint16), label), "b": look(colour, label), "c": look(colour, label)}
    found = take_fingerprint(images, Labels(), {0: 1, 255: 1})
    assert (found.channels, found.dtype, len(found.foreground)) == (3, "uint8", 3)
    assert look(np.repeat(colour[:1], 3, axis=0)).channels == 1


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


def test_the_order_of_classes_is_found_along_the_bodys_axes_whatever_the_files_do() -> None:
    def centres(*, flipped: bool) -> np.ndarray:
        label = np.zeros((6, 6, 6), np.int16)
        label[:, :2], label[:, 4:] = 1, 2
        direction = ((0.0, 0.0, 1.0), (0.0, -1.0 if flipped else 1.0, 0.0), (1.0, 0.0, 0.0))
        geometry = Geometry((1.0, 1.0, 1.0), "mm", (0.0, 0.0, 0.0), direction)
        shown = label[:, ::-1].copy() if flipped else label
        return take_facts(Case("a", shown[None].astype(float), geometry, shown), 10, classes=2).centres

    apart = [np.sign(np.diff(centres(flipped=flipped), axis=0))[0].tolist() for flipped in (False, True)]
    assert apart[0] == apart[1]
    assert [abs(sign) for sign in apart[0]] == [0, 1, 0]


def test_few_cases_prove_no_order() -> None:
    always = np.array([[[0.0, 1.0], [5.0, 1.0]]])
    assert measure_order(np.repeat(always, 3, axis=0))[0] < 0.9 <= measure_order(np.repeat(always, 20, axis=0))[0]
    missing = np.array([[[0.0, 1.0], [np.nan, np.nan]]])
    assert measure_order(np.repeat(missing, 50, axis=0)) == (0.5, 0.5)
