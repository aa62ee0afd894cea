"""The synthetic nuclei are the same every time, and hard for a threshold."""

from pathlib import Path

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from ushape.core.errors import ConfigError
from ushape.io.images import read_image, read_mask
from ushape.io.layouts import find_pairs
from ushape.io.synthetic import make_nuclei, write_nuclei


def test_the_seed_decides_the_picture() -> None:
    first, second, other = (make_nuclei(np.random.default_rng(seed), (64, 64)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("size", [(32, 32), (97, 130), (256, 64)])
def test_any_size_holds_some_nuclei(size: tuple[int, int]) -> None:
    image, instances = make_nuclei(np.random.default_rng(0), size)
    assert image.shape == instances.shape == size
    assert 1 <= instances.max() == len(np.unique(instances)) - 1


def test_a_size_that_holds_no_nucleus_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 32x32"):
        make_nuclei(np.random.default_rng(0), (16, 256))


def test_some_nuclei_touch() -> None:
    touching = 0
    for seed in range(4):
        _, instances = make_nuclei(np.random.default_rng(seed))
        left, right = instances[:, :-1], instances[:, 1:]
        touching += int(((left != right) & (left > 0) & (right > 0)).any())
    assert touching >= 3


def test_otsus_threshold_finds_them_badly_but_not_hopelessly() -> None:
    scores = []
    for number in range(12):
        image, instances = make_nuclei(np.random.default_rng((0, number)))
        found, truth = image > threshold_otsu(image), instances > 0
        scores.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    assert 0.6 < np.mean(scores) < 0.8


def test_the_light_uses_all_of_the_8_bits() -> None:
    image, _ = make_nuclei(np.random.default_rng(0))
    assert image.max() == 255
    assert (image == 255).mean() < 0.01


def test_a_written_data_set_is_found_and_read_as_made(tmp_path: Path) -> None:
    write_nuclei(tmp_path, count=3, seed=5, size=(48, 40))
    pairs = find_pairs(tmp_path)
    image, instances = make_nuclei(np.random.default_rng((5, 1)), (48, 40))
    assert [pair.name for pair in pairs] == ["nuclei_000", "nuclei_001", "nuclei_002"]
    assert np.array_equal(read_image(pairs[1].image)[0], image)
    assert pairs[1].mask is not None
    assert np.array_equal(read_mask(pairs[1].mask), np.where(instances > 0, 255, 0))


def test_a_larger_data_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    write_nuclei(tmp_path / "two", count=2, size=(32, 32))
    write_nuclei(tmp_path / "three", count=3, size=(32, 32))
    name = Path("images") / "nuclei_001.png"
    assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
