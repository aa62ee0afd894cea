"""The synthetic vessels are the same every time, thin, connected, rare, and hard for a threshold."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label
from skimage.filters import threshold_otsu

from ushape.core.errors import ConfigError
from ushape.io.images import read_image, read_mask
from ushape.io.layouts import find_pairs
from ushape.io.vessels import make_vessels, write_vessels

PICTURES = [make_vessels(np.random.default_rng((0, number))) for number in range(6)]


def test_a_twelfth_to_a_tenth_of_every_picture_is_vessel() -> None:
    shares = [truth.mean() for _, truth in PICTURES]
    assert min(shares) > 0.075
    assert max(shares) < 0.11


def test_vessels_are_thin_and_hang_together() -> None:
    for _, truth in PICTURES:
        assert distance_transform_edt(truth).max() < 9
        pieces, count = label(truth, np.ones((3, 3)))
        assert np.bincount(pieces.ravel())[1:].max() > 0.4 * truth.sum()
        assert count < 12


def test_vessels_are_darker_than_what_is_beside_them() -> None:
    for image, truth in PICTURES:
        beside = (distance_transform_edt(truth == 0) < 6) & (truth == 0)
        assert image[truth > 0].mean() < image[beside].mean() - 3


def test_otsus_threshold_does_not_find_them() -> None:
    found = [(image < threshold_otsu(image), truth > 0) for image, truth in PICTURES]
    scores = [2 * (dark & truth).sum() / (dark.sum() + truth.sum()) for dark, truth in found]
    assert 0.1 < np.mean(scores) < 0.4


@pytest.mark.parametrize("size", [(32, 32), (97, 130)])
def test_any_size_holds_some(size: tuple[int, int]) -> None:
    image, truth = make_vessels(np.random.default_rng(3), size)
    assert image.shape == truth.shape == size
    assert set(np.unique(truth)) == {0, 1}


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 32x32 pixels, got 16x256"):
        make_vessels(np.random.default_rng(0), (16, 256))


def test_a_written_data_set_is_found_and_read_as_made(tmp_path: Path) -> None:
    write_vessels(tmp_path, count=2, seed=5, size=(48, 40))
    pairs = find_pairs(tmp_path)
    image, truth = make_vessels(np.random.default_rng((5, 1)), (48, 40))
    assert [pair.name for pair in pairs] == ["vessels_000", "vessels_001"]
    assert np.array_equal(read_image(pairs[1].image)[0], image)
    assert pairs[1].mask is not None
    assert np.array_equal(read_mask(pairs[1].mask), truth * 255)
