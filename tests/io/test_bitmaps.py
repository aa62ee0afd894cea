"""PNG, JPEG and BMP in every colour mode that is met."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from ushape.core.errors import DataError
from ushape.io import raster
from ushape.io.bitmaps import read_bitmap
from ushape.io.images import read_image, read_mask

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("ending", [".png", ".bmp"])
def test_lossless_formats_give_gray_and_colour_back(tmp_path: Path, ending: str) -> None:
    gray = save(tmp_path / f"g{ending}", Image.fromarray(GRAY))
    colour = save(tmp_path / f"c{ending}", Image.fromarray(COLOUR))
    assert np.array_equal(read_image(gray), GRAY[None])
    assert np.array_equal(read_image(colour), COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_of_16_bits_keeps_them_all(tmp_path: Path, channels: int) -> None:
    deep = RNG.integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep[..., 0] if channels == 1 else deep))
    image = read_image(tmp_path / "deep.png")
    assert image.dtype == np.uint16
    assert np.array_equal(image, deep.transpose(2, 0, 1))


def test_alpha_is_dropped_from_8_and_16_bit_images(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    flat = save(tmp_path / "flat.png", Image.fromarray(np.dstack([GRAY, GRAY]), mode=None))
    assert np.array_equal(read_image(tmp_path / "deep.png"), deep[..., :3].transpose(2, 0, 1))
    assert np.array_equal(read_image(flat), GRAY[None])
    assert read_bitmap(flat).has_transparency


def test_a_1_bit_picture_is_0_and_1(tmp_path: Path) -> None:
    bits = GRAY > 127
    path = save(tmp_path / "bits.png", Image.fromarray(bits))
    assert read_image(path).dtype == np.uint8
    assert np.array_equal(read_mask(path), bits.astype(np.uint8))


@pytest.mark.parametrize("bits", [2, 4])
def test_labels_of_2_and_4_bits_are_not_stretched(tmp_path: Path, bits: int) -> None:
    labels = RNG.integers(0, 2**bits, (4, 8), dtype=np.uint8)
    (tmp_path / "few.png").write_bytes(_few_bits_png(labels, bits))
    assert np.array_equal(read_mask(tmp_path / "few.png"), labels)


def _few_bits_png(values: np.ndarray, bits: int) -> bytes:
    """Write a gray PNG of `bits` bits per pixel by hand: no writer at hand makes them."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, cols = values.shape
    planes = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(rows, -1)
    lines = b"".join(b"\0" + np.packbits(line).tobytes() for line in planes)
    head = struct.pack(">IIBBBBB", cols, rows, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_a_palette_is_colours_for_an_image_and_indices_for_a_mask(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (5, 7), dtype=np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    path = save(tmp_path / "p.png", picture)
    assert np.array_equal(read_mask(path), indices)
    assert np.array_equal(read_image(path)[0], np.where(indices == 1, 255, 0))


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    red = np.full((16, 16, 3), (200, 30, 40), np.uint8)
    path = save(tmp_path / "print.jpg", Image.fromarray(red).convert("CMYK"), quality=95)
    image = read_image(path)
    assert image.shape == (3, 16, 16)
    assert np.allclose(image, red.transpose(2, 0, 1), atol=8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_as_pillow_does_it(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "phone.png", Image.fromarray(COLOUR), exif=exif)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture)).transpose(2, 0, 1)
    assert np.array_equal(read_image(path), expected)
    assert read_bitmap(path).orientation == orientation


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    save(tmp_path / "really.jpg", Image.fromarray(GRAY)).rename(tmp_path / "named.png")
    with pytest.raises(DataError, match="JPEG, which invents values"):
        read_mask(tmp_path / "named.png")


def test_every_cut_of_a_png_through_its_pixels_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", Image.fromarray(COLOUR)).read_bytes()
    end_of_pixels = len(whole) - 20  # their checksum and the end mark come after
    for length in range(1, end_of_pixels, 3):
        (tmp_path / "cut.png").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.png: .*; "):
            read_image(tmp_path / "cut.png")


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "big.png", Image.fromarray(GRAY))
    monkeypatch.setattr(raster, "MAX_PIXELS", 34)
    with pytest.raises(DataError, match=r"big\.png: expected at most .* cut it into tiles"):
        read_image(path)


def test_pillows_own_limit_does_not_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "big.png", Image.fromarray(GRAY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(path).shape == (1, 5, 7)


def test_axes_make_no_sense_for_a_plain_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GRAY))
    with pytest.raises(DataError, match="leave out --axes"):
        read_image(path, axes="YX")
