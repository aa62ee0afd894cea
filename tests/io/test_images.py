"""What makes an image and what makes a mask, whatever the format."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ushape.core.errors import DataError
from ushape.io.images import READERS, is_readable, read_image, read_mask, split_name

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ending", sorted(READERS))
def test_missing_empty_and_foreign_files_are_refused_in_every_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    with pytest.raises(DataError, match="got nothing; check the path"):
        read_image(path)
    path.touch()
    with pytest.raises(DataError, match="empty file"):
        read_image(path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"a\..*; "):
        read_image(path)


def test_a_folder_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(DataError, match="got a folder"):
        read_image(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"expected one of \.bmp"):
        read_image(tmp_path / "a.czi")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused_and_counted(tmp_path: Path, bad: float) -> None:
    values = np.zeros((4, 5), np.float32)
    values[1, 2:4] = bad
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(DataError, match=r"a\.tif: expected finite pixels, got 2 NaN or infinite"):
        read_image(tmp_path / "a.tif")


def test_a_mask_of_three_equal_channels_is_gray(tmp_path: Path) -> None:
    labels = RNG.integers(0, 3, (5, 7), dtype=np.uint8)
    Image.fromarray(np.dstack([labels] * 3)).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), labels)


def test_a_mask_in_colours_is_refused_with_a_remedy(tmp_path: Path) -> None:
    Image.fromarray(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: expected one number per pixel, got colours; save the mask as gray"):
        read_mask(tmp_path / "m.png")


def test_a_mask_with_see_through_pixels_is_refused(tmp_path: Path) -> None:
    pixels = np.full((5, 7, 4), 255, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert (read_mask(tmp_path / "opaque.png") == 255).all()
    with pytest.raises(DataError, match="flatten it onto black"):
        read_mask(tmp_path / "clear.png")


def test_a_jpeg_mask_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / "m.jpg")
    with pytest.raises(DataError, match="save masks as PNG"):
        read_mask(tmp_path / "m.jpg")


def test_a_float_mask_needs_whole_numbers(tmp_path: Path) -> None:
    values = np.array([[0, 1], [300, 2]], np.float32)
    tifffile.imwrite(tmp_path / "m.tif", values)
    assert read_mask(tmp_path / "m.tif").dtype == np.uint16
    assert np.array_equal(read_mask(tmp_path / "m.tif"), values.astype(int))
    for bad in (0.5, np.nan, 1e12):
        tifffile.imwrite(tmp_path / "m.tif", np.where(values == 2, bad, values).astype(np.float32))
        with pytest.raises(DataError, match="expected whole label values"):
            read_mask(tmp_path / "m.tif")


def test_endings_are_read_in_any_case_and_hidden_files_never() -> None:
    assert split_name(Path("A.TIF")) == ("A", ".tif")
    assert is_readable(Path("A.TIF"))
    assert not is_readable(Path("._a.png"))
    assert not is_readable(Path(".png"))


def test_real_images_have_the_sizes_and_types_they_are_known_for(data_root: Path) -> None:
    image = read_image(data_root / "isbi2012" / "images" / "00.png")
    mask = read_mask(data_root / "isbi2012" / "masks" / "00.png")
    assert image.shape == (1, 512, 512)
    assert sorted(np.unique(mask)) == [0, 255]
    nuclei = next((data_root / "dsb2018" / "labels").glob("*.png"))
    assert read_mask(nuclei).dtype == np.uint16
    assert read_image(data_root / "dsb2018" / "images" / nuclei.name).shape == (3, *read_mask(nuclei).shape)


@pytest.mark.parametrize("values", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), bool)])
@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_images_are_writable_and_contiguous(tmp_path: Path, values: np.ndarray, ending: str) -> None:
    Image.fromarray(values).save(tmp_path / f"a{ending}")
    flags = read_image(tmp_path / f"a{ending}").flags
    assert flags.writeable
    assert flags.c_contiguous


@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
def test_a_file_with_flipped_bytes_is_read_or_refused_but_never_crashes(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, rng = tmp_path_factory.getbasetemp() / f"flipped_{name}", np.random.default_rng(seed)
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    content = bytearray(path.read_bytes())
    for position in rng.integers(0, len(content), 3):
        content[position] = rng.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        read_image(path)
