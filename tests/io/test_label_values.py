"""What the numbers in masks mean is guessed only where it is plain."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFilter

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.label_values import LabelFacts, collect_labels, count_values, describe_labels, guess_labels


def facts_of(*files: dict[int, int]) -> LabelFacts:
    return collect_labels({f"{i}.png": counts for i, counts in enumerate(files)})


@given(mask=st.sampled_from([np.uint8, np.uint16, np.int32]).flatmap(lambda d: hnp.arrays(d, (4, 5))))
def test_counts_are_those_of_unique(mask: np.ndarray) -> None:
    values, counts = np.unique(mask, return_counts=True)
    assert count_values(mask) == dict(zip(values.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (0, 1, 2), (0, 50, 100, 200), tuple(range(20))])
def test_each_value_of_a_few_is_a_class(values: tuple[int, ...]) -> None:
    labels = guess_labels(facts_of(dict.fromkeys(values, 9)))
    assert labels.values == values
    assert labels.names[0] == "background"


def test_two_values_are_background_and_foreground() -> None:
    assert guess_labels(facts_of({0: 5, 7: 5})) == Labels(values=(0, 7))


def test_zero_is_the_background_even_if_it_never_occurs() -> None:
    assert guess_labels(facts_of({1: 5, 2: 5})).values == (0, 1, 2)


def test_hundreds_of_values_are_an_instance_map() -> None:
    facts = facts_of(dict.fromkeys(range(300), 9))
    assert facts.kind == "instances"
    with pytest.raises(DataError, match=r"got 300: this looks like an instance map.*use ushape train --foreground"):
        guess_labels(facts)
    assert guess_labels(facts, foreground=True) == Labels(values=(0, 255), merge="foreground")


def test_a_few_instances_are_recognised_because_each_file_counts_its_own() -> None:
    counting = facts_of(dict.fromkeys(range(9), 9), dict.fromkeys(range(5), 9), {0: 9})
    assert counting.kind == "instances"
    assert facts_of(dict.fromkeys(range(9), 9), dict.fromkeys(range(9), 9)).kind == "classes"
    assert facts_of(dict.fromkeys(range(9), 9), {0: 1, 5: 9}).kind == "classes"


def test_merging_keeps_the_only_foreground_value() -> None:
    assert guess_labels(facts_of({0: 5, 1: 5}), foreground=True).values == (0, 1)


def test_smoothed_and_jpeg_like_masks_are_refused_with_a_threshold_as_remedy(tmp_path: Path) -> None:
    square = np.zeros((64, 64), np.uint8)
    square[16:48, 16:48] = 255
    smooth = Image.fromarray(square).filter(ImageFilter.GaussianBlur(2))
    smooth.save(tmp_path / "smooth.png")
    noisy = np.clip(square + np.random.default_rng(0).normal(0, 4, square.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    for name in ("smooth.png", "noisy.png"):
        facts = describe_labels([tmp_path / name])
        assert facts.kind == "grays"
        with pytest.raises(DataError, match="threshold the masks at 128"):
            guess_labels(facts, foreground=True)


def test_a_data_set_without_foreground_is_refused() -> None:
    facts = facts_of({0: 9}, {0: 9})
    assert facts.kind == "empty"
    assert facts.without_foreground == ("0.png", "1.png")
    with pytest.raises(DataError, match="expected some foreground"):
        guess_labels(facts, foreground=True)


def test_255_beside_numbered_classes_is_ignored_but_alone_it_is_a_class() -> None:
    labels = guess_labels(facts_of(dict.fromkeys((0, 1, 2, 3, 255), 9)))
    assert (labels.values, labels.ignore) == ((0, 1, 2, 3), 255)
    for values in ((0, 255), (0, 1, 255), (0, 1, 3, 255), (0, 1, 2, 254)):
        assert guess_labels(facts_of(dict.fromkeys(values, 9))) == guess_labels(facts_of(dict.fromkeys(values, 5)))
        assert guess_labels(facts_of(dict.fromkeys(values, 9))).values == values


def test_negative_values_are_refused() -> None:
    with pytest.raises(DataError, match="number the classes from 0"):
        guess_labels(facts_of({-1: 3, 0: 3, 1: 3}))


def test_the_real_data_sets_are_what_they_are(data_root: Path) -> None:
    membranes = describe_labels(sorted((data_root / "isbi2012" / "masks").glob("*.png")))
    nuclei = describe_labels(sorted((data_root / "dsb2018" / "labels").glob("*.png"))[:60])
    assert guess_labels(membranes).values == (0, 255)
    assert nuclei.kind == "instances"
