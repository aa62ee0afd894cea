"""TIFFs that are cut tile by tile give what they give as a whole."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ushape.core.errors import DataError
from ushape.io import tiled
from ushape.io.images import read_image
from ushape.io.tiled import open_tiff

RNG = np.random.default_rng(0)
GRAY, RGB = RNG.integers(0, 60000, (100, 130), dtype=np.uint16), RNG.integers(0, 255, (70, 90, 3), dtype=np.uint8)
VOLUME = RNG.normal(size=(5, 60, 50)).astype(np.float32)
FILES = {
    "tiled": (GRAY, {"tile": (32, 48), "compression": "zlib"}),
    "lzw with a predictor": (GRAY, {"tile": (16, 16), "compression": "lzw", "predictor": True}),
    "strips": (GRAY, {"rowsperstrip": 7}),
    "big-endian": (GRAY, {"rowsperstrip": 9, "byteorder": ">"}),
    "colours": (RGB, {"tile": (32, 32), "photometric": "rgb", "compression": "zlib"}),
    "planes of colours": (
        np.moveaxis(RGB, -1, 0),
        {"tile": (32, 32), "photometric": "rgb", "planarconfig": "separate"},
    ),
    "channel pages": (VOLUME, {"tile": (16, 16), "metadata": {"axes": "CYX"}}),
    "volume": (VOLUME, {"tile": (32, 16), "metadata": {"axes": "ZYX"}, "compression": "zlib"}),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_cut_is_that_of_the_whole_image(tmp_path: Path, kind: str) -> None:
    values, options = FILES[kind]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, **{"photometric": "minisblack", **options})
    whole = read_image(path)
    opened = open_tiff(path)
    assert opened is not None
    with closing(opened) as image:
        assert (image.shape, image.dtype) == (whole.shape, whole.dtype)
        np.testing.assert_array_equal(image[...], whole)
        for _ in range(20):
            ends = [np.sort(RNG.integers(0, size + 1, 2)) for size in whole.shape[1:]]
            box = tuple(slice(int(low), int(max(high, low + 1))) for low, high in ends)
            np.testing.assert_array_equal(image[(..., *box)], whole[(..., *box)])
            np.testing.assert_array_equal(image[:, box[0]], whole[:, box[0]])
        np.testing.assert_array_equal(image[-1:], whole[-1:])


def test_only_the_tiles_of_a_cut_are_decoded_and_the_latest_kept(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GRAY, tile=(16, 16), photometric="minisblack")
    monkeypatch.setattr(tiled, "CACHE_BYTES", 3 * 16 * 16 * 2)
    image = open_tiff(path)
    assert image is not None
    with closing(image):
        read = []
        original = image._pages[0].decode

        def decode(data, index, **options):  # type: ignore[no-untyped-def]
            read.append(index)
            return original(data, index, **options)

        monkeypatch.setattr(image._pages[0], "decode", decode, raising=False)
        image[:, 20:30, 20:40]
        assert len(read) == 2
        image[:, 20:30, 20:40]
        assert len(read) == 2
        image[:, 50:90, 50:90]
        assert len(image._decoded) == 3


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (GRAY > 9, {"photometric": "minisblack"}),
        (np.zeros((9, 9, 4), np.uint8), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (np.zeros((9, 9), np.uint8), {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}),
        (np.zeros((3, 9, 9), np.uint8), {"photometric": "minisblack"}),
    ],
)
def test_what_must_be_read_as_a_whole_is_not_opened(tmp_path: Path, values: np.ndarray, options: dict) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    assert open_tiff(tmp_path / "a.tif") is None


def test_what_is_no_tiff_is_left_to_those_who_read_it_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"no picture")
    assert open_tiff(tmp_path / "a.tif") is None


def test_a_damaged_tile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GRAY, tile=(32, 32), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[3]  # type: ignore[union-attr]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = bytes(40)
    path.write_bytes(content)
    image = open_tiff(path)
    assert image is not None
    with closing(image), pytest.raises(DataError, match=r"a\.tif: cannot be decoded"):
        image[...]
