"""A batch is a function of the seed and the step, and sees every case and the foreground."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError
from ushape.patches.sampler import PatchConfig, cut_step, draw_step, place_patch
from ushape.patches.store import Contents, PreparedCase, Store, is_complete, sample_locations, write_case, write_index


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
        write_case(tmp_path, f"{i:04x}", case)
    write_index(tmp_path, [(case.name, f"{i:04x}") for i, case in enumerate(cases)])
    return Store(tmp_path)


def prepared(label: np.ndarray) -> PreparedCase:
    image = np.zeros((1, *label.shape), dtype=np.float32)
    locations = sample_locations(label, np.random.default_rng(0))
    return PreparedCase("case", image, label, Geometry.pixels(label.ndim), locations)


def alike(count: int) -> Contents:
    return Contents(np.full(count, 100), np.ones(count, dtype=bool))


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
    write_case(tmp_path, "0", a_case(0, (8, 8)))
    assert not is_complete(tmp_path)


def test_a_case_without_a_label_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a label"):
        write_case(tmp_path, "0", Case("x", np.zeros((1, 4, 4), dtype=np.float32), Geometry.pixels(2)))


def test_the_same_seed_and_step_give_the_same_batch(store: Store) -> None:
    config = PatchConfig(size=(8, 8), batch=3)
    first, again = (cut_step(store, draw_step(1, 5, store.contents, config), config) for _ in range(2))
    other, _ = cut_step(store, draw_step(1, 6, store.contents, config), config)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_every_case_comes_once_in_each_round(cases: int, batch: int, seed: int) -> None:
    config = PatchConfig(batch=batch)
    seen = Counter(draw.position for step in range(cases) for draw in draw_step(seed, step, alike(cases), config))
    assert set(seen.values()) == {batch}
    assert len(seen) == cases


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 999))
def test_a_forced_patch_holds_foreground_wherever_it_is(row: int, col: int, size: int, seed: int) -> None:
    label = np.zeros((41, 41), dtype=np.int16)
    label[row, col] = 2
    case, config = prepared(label), PatchConfig(size=(size, size), batch=1, foreground=1.0)
    (draw,) = draw_step(seed, 0, alike(1), config)
    top, left = place_patch(case, draw, config.size)
    assert top <= row < top + size
    assert left <= col < left + size
    assert 0 <= top <= 41 - size


def test_each_step_has_its_share_of_foreground_and_at_least_one() -> None:
    for batch, share, forced in ((6, 0.33, 2), (2, 0.1, 1), (4, 0.0, 0)):
        draws = draw_step(0, 0, alike(10), PatchConfig(batch=batch, foreground=share))
        assert sum(draw.on_foreground for draw in draws) == forced


def test_rare_and_frequent_classes_are_sampled_equally() -> None:
    label = np.ones((64, 64), dtype=np.int16)
    label[5, 5] = 2
    case, config = prepared(label), PatchConfig(size=(8, 8), batch=1, foreground=1.0)
    hits = 0
    for step in range(200):
        (draw,) = draw_step(0, step, alike(1), config)
        top, left = place_patch(case, draw, config.size)
        hits += top <= 5 < top + 8 and left <= 5 < left + 8
    assert 70 <= hits <= 140


def test_an_image_smaller_than_the_patch_is_centred_and_mirrored() -> None:
    label = np.zeros((4, 30), dtype=np.int16)
    (draw,) = draw_step(0, 0, alike(1), PatchConfig(size=(10, 10), batch=1))
    assert place_patch(prepared(label), draw, (10, 10))[0] == -3


def test_volumes_are_cut_like_images(tmp_path: Path) -> None:
    case = a_case(0, (9, 10, 11))
    write_case(tmp_path, "0", case)
    write_index(tmp_path, [(case.name, "0")])
    config = PatchConfig(size=(4, 12, 6), batch=2)
    images, labels = cut_step(Store(tmp_path), draw_step(0, 0, alike(1), config), config)
    assert images.shape == (2, 2, 4, 12, 6)
    assert labels.shape == (2, 4, 12, 6)


def test_a_patch_is_cut_without_reading_its_volume(tmp_path: Path) -> None:
    write_case(tmp_path, "0", a_case(0, (8, 8, 8)))
    write_index(tmp_path, [("case0", "0")])
    space, config = (256, 256, 256), PatchConfig(size=(16, 16, 16), batch=4)
    for name, shape, kind in (("image.npy", (1, *space), np.float32), ("label.npy", space, np.int16)):
        np.lib.format.open_memmap(tmp_path / "0" / name, "w+", kind, shape)  # holes on disk, 67 MB to who reads it
    tracemalloc.start()
    try:
        images, _ = cut_step(Store(tmp_path), draw_step(0, 0, alike(1), config), config)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert images.shape == (4, 1, 16, 16, 16)
    assert peak < 2e6


def test_over_many_steps_the_share_of_foreground_is_the_one_configured() -> None:
    config = PatchConfig(batch=4, foreground=0.33)
    forced = [sum(d.on_foreground for d in draw_step(0, step, alike(7), config)) for step in range(300)]
    assert sum(forced) == round(300 * 4 * 0.33)
    assert set(forced) == {1, 2}


@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 99), st.integers(0, 50))
def test_every_batch_has_foreground_if_only_one_case_has_some(cases: int, batch: int, seed: int, step: int) -> None:
    able = np.arange(cases) == seed % cases
    draws = draw_step(seed, step, Contents(np.full(cases, 100), able), PatchConfig(batch=batch))
    assert any(draw.on_foreground for draw in draws)
    assert all(able[draw.position] for draw in draws if draw.on_foreground)


def test_without_any_foreground_nothing_is_forced() -> None:
    contents = Contents(np.full(3, 100), np.zeros(3, dtype=bool))
    assert not any(draw.on_foreground for draw in draw_step(0, 0, contents, PatchConfig()))


@pytest.mark.parametrize(("power", "shares"), [(0.0, (1, 1, 1)), (0.5, (1, 2, 4)), (1.0, (1, 4, 16))])
def test_large_cases_come_more_often_by_the_power_of_their_area(power: float, shares: tuple[int, ...]) -> None:
    contents, config = Contents(np.array([100, 400, 1600]), np.ones(3, dtype=bool)), PatchConfig(batch=3, by_area=power)
    seen = Counter(draw.position for step in range(700) for draw in draw_step(5, step, contents, config))
    for position, share in enumerate(shares):
        assert abs(seen[position] / 2100 - share / sum(shares)) < 0.02


def test_a_round_rounds_each_share_up_or_down() -> None:
    contents = Contents(np.array([100] * 8 + [1600]), np.ones(9, dtype=bool))
    config = PatchConfig(batch=9, by_area=1.0)
    for step in range(20):
        assert sum(draw.position == 8 for draw in draw_step(1, step, contents, config)) == 6  # 9 x 1600 / 2400


def test_the_forced_voxel_lies_anywhere_in_its_patch() -> None:
    label = np.zeros((64, 64), dtype=np.int16)
    label[30, 30] = 1
    case, config = prepared(label), PatchConfig(size=(8, 8), batch=1, foreground=1.0)
    places = [place_patch(case, draw_step(0, step, alike(1), config)[0], config.size)[0] for step in range(800)]
    counts = np.bincount(30 - np.array(places), minlength=8)
    assert (abs(counts - 100) < 40).all()


def test_classes_that_overlap_are_stored_sampled_and_cut(tmp_path: Path) -> None:
    label = np.zeros((3, 20, 24), dtype=bool)
    label[0, 5:9, 5:9] = label[2, 7:12, 7:12] = True
    write_case(tmp_path, "0", Case("case", np.zeros((1, 20, 24), dtype=np.float32), Geometry.pixels(2), label))
    write_index(tmp_path, [("case", "0")])
    store, config = Store(tmp_path), PatchConfig(size=(16, 16), batch=2, foreground=1.0)
    assert sorted(store[0].locations) == [1, 3]
    _, labels = cut_step(store, draw_step(0, 0, store.contents, config), config)
    assert labels.shape == (2, 3, 16, 16)
    assert labels.dtype == bool
    assert labels.any(axis=(1, 2, 3)).all()
