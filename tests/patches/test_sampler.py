"""A batch is a function of the seed and the step, and sees every case and the foreground."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError
from ushape.patches.sampler import PatchConfig, cut_step, draw_step, place_patch
from ushape.patches.store import PreparedCase, Store, is_complete, sample_locations, write_case, write_index


def a_case(number: int, space: tuple[int, ...]) -> Case:
    rng = np.random.default_rng(number)
    image = rng.normal(size=(2, *space)).astype(np.float32)
    label = np.zeros(space, dtype=np.int16)
    label[(slice(1, 3),) * len(space)] = 1
    return Case(f"case{number}", image, Geometry.pixels(len(space)), label)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    cases = [a_case(i, (20, 24)) for i in range(3)]
    for i, case in enumerate(cases):
        write_case(tmp_path, i, case)
    write_index(tmp_path, [(case.name, case.geometry) for case in cases])
    return Store(tmp_path)


def prepared(label: np.ndarray) -> PreparedCase:
    image = np.zeros((1, *label.shape), dtype=np.float32)
    locations = sample_locations(label, np.random.default_rng(0))
    return PreparedCase("case", image, label, Geometry.pixels(label.ndim), locations)


def test_a_store_gives_back_what_was_written(store: Store) -> None:
    expected = a_case(1, (20, 24))
    assert np.array_equal(store[1].image, expected.image)
    assert np.array_equal(store[1].label, expected.label)
    assert store[1].geometry == expected.geometry
    assert store.subset(["case2", "case0"]).names == ["case2", "case0"]


def test_a_missing_case_is_named(store: Store) -> None:
    with pytest.raises(DataError, match="case9"):
        store.subset(["case9"])


def test_a_store_without_its_index_is_not_complete(tmp_path: Path) -> None:
    write_case(tmp_path, 0, a_case(0, (8, 8)))
    assert not is_complete(tmp_path)


def test_a_case_without_a_label_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a label"):
        write_case(tmp_path, 0, Case("x", np.zeros((1, 4, 4), dtype=np.float32), Geometry.pixels(2)))


def test_the_same_seed_and_step_give_the_same_batch(store: Store) -> None:
    config = PatchConfig(size=(8, 8), batch=3)
    first, again = (cut_step(store, draw_step(1, 5, 3, config), config) for _ in range(2))
    other, _ = cut_step(store, draw_step(1, 6, 3, config), config)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_every_case_comes_once_in_each_round(cases: int, batch: int, seed: int) -> None:
    config = PatchConfig(batch=batch)
    seen = Counter(draw.position for step in range(cases) for draw in draw_step(seed, step, cases, config))
    assert set(seen.values()) == {batch}
    assert len(seen) == cases


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 999))
def test_a_forced_patch_holds_foreground_wherever_it_is(row: int, col: int, size: int, seed: int) -> None:
    label = np.zeros((41, 41), dtype=np.int16)
    label[row, col] = 2
    case, config = prepared(label), PatchConfig(size=(size, size), batch=1, foreground=1.0)
    (draw,) = draw_step(seed, 0, 1, config)
    top, left = place_patch(case, draw, config.size)
    assert top <= row < top + size
    assert left <= col < left + size
    assert 0 <= top <= 41 - size


def test_each_step_has_its_share_of_foreground_and_at_least_one() -> None:
    for batch, share, forced in ((6, 0.33, 2), (2, 0.1, 1), (4, 0.0, 0)):
        draws = draw_step(0, 0, 10, PatchConfig(batch=batch, foreground=share))
        assert sum(draw.on_foreground for draw in draws) == forced


def test_rare_and_frequent_classes_are_sampled_equally() -> None:
    label = np.ones((64, 64), dtype=np.int16)
    label[5, 5] = 2
    case, config = prepared(label), PatchConfig(size=(8, 8), batch=1, foreground=1.0)
    hits = 0
    for step in range(200):
        (draw,) = draw_step(0, step, 1, config)
        top, left = place_patch(case, draw, config.size)
        hits += top <= 5 < top + 8 and left <= 5 < left + 8
    assert 70 <= hits <= 140


def test_an_image_smaller_than_the_patch_is_centred_and_mirrored() -> None:
    label = np.zeros((4, 30), dtype=np.int16)
    (draw,) = draw_step(0, 0, 1, PatchConfig(size=(10, 10), batch=1))
    assert place_patch(prepared(label), draw, (10, 10))[0] == -3


def test_volumes_are_cut_like_images(tmp_path: Path) -> None:
    case = a_case(0, (9, 10, 11))
    write_case(tmp_path, 0, case)
    write_index(tmp_path, [(case.name, case.geometry)])
    config = PatchConfig(size=(4, 12, 6), batch=2)
    images, labels = cut_step(Store(tmp_path), draw_step(0, 0, 1, config), config)
    assert images.shape == (2, 2, 4, 12, 6)
    assert labels.shape == (2, 4, 12, 6)
