"""File values and class indices translate both ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from ushape.core.errors import DataError
from ushape.core.labels import IGNORE, Labels


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=8, unique=True), st.data())
def test_decoding_takes_back_what_encoding_did(values: list[int], data: st.DataObject) -> None:
    labels = Labels(names=("background", *map(str, values)), values=(0, *sorted(values)))
    raw = data.draw(hnp.arrays(np.uint16, (3, 4), elements=st.sampled_from(labels.values)))
    assert np.array_equal(labels.decode(labels.encode(raw, "mask")), raw)


def test_a_stranger_is_refused_with_its_value_and_the_file() -> None:
    with pytest.raises(DataError, match=r"m\.png: expected label values \[0, 255\], got also 7"):
        Labels().encode(np.array([[0, 7]]), "m.png")


def test_instances_become_foreground() -> None:
    labels = Labels(merge="foreground")
    assert labels.encode(np.array([[0, 1, 900]]), "m.png").tolist() == [[0, 1, 1]]


def test_the_ignored_value_becomes_the_ignore_index() -> None:
    labels = Labels(names=("background", "cell"), values=(0, 1), ignore=255)
    assert labels.encode(np.array([[0, 1, 255]], dtype=np.uint8), "m.png").tolist() == [[0, 1, IGNORE]]


@pytest.mark.parametrize(
    "fields",
    [
        {"values": (0, 1, 2)},
        {"values": (1, 0)},
        {"names": ("a", "b", "c"), "values": (0, 1, 2), "merge": "foreground"},
        {"values": (0, 255), "ignore": 255},
        {"overlap": "regions"},
        {"regions": ((1,),)},
        {"overlap": "regions", "regions": ((1,), (2,))},
        {"overlap": "files", "merge": "foreground"},
        {"overlap": "regions", "regions": ((1,),), "values": (0, 1), "ignore": 9},
    ],
)
def test_a_table_that_contradicts_itself_is_refused(fields: dict) -> None:
    with pytest.raises(ValidationError):
        Labels(**fields)


def test_with_an_ignored_value_other_strangers_are_still_refused() -> None:
    labels = Labels(names=("background", "cell"), values=(0, 1), ignore=255)
    with pytest.raises(DataError, match="got also 7"):
        labels.encode(np.array([[0, 7, 255]], dtype=np.uint8), "m.png")


@given(seed=st.integers(0, 99))
def test_regions_that_nest_come_back_as_the_values_they_were_made_of(seed: int) -> None:
    names, regions = ("background", "whole", "core", "center"), ((1, 2, 4), (2, 4), (4,))
    labels = Labels(names=names, values=(0, 1, 2, 4), overlap="regions", regions=regions)
    raw = np.random.default_rng(seed).choice([0, 1, 2, 4], (3, 4)).astype(np.uint8)
    masks = labels.encode(raw, "m.png")
    assert np.array_equal(masks, np.stack([raw >= 1, raw >= 2, raw >= 4]))
    assert np.array_equal(labels.decode(masks), raw)


def test_values_in_no_region_are_refused() -> None:
    labels = Labels(values=(0, 1), overlap="regions", regions=((1, 2),))
    with pytest.raises(DataError, match="got also 7"):
        labels.encode(np.array([[0, 7, 2]], dtype=np.uint8), "m.png")
