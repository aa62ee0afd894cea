"""PNG, JPEG and BMP: decode with Pillow, and with imagecodecs what Pillow would cut to 8 bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.io.raster import Raster, damaged, refuse_huge, split_alpha

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_ORIENTATION_TAG = 0x0112
_GRAY_STEPS = {"L;2": 85, "L;4": 17}  # Pillow stretches 2 and 4 bits to 0..255; as labels they must stay 0..3 and 0..15

Turn = Callable[[Shaped[ndarray, "c y x"]], Shaped[ndarray, "c y2 x2"]]
_TURNS: dict[int, Turn] = {  # EXIF orientation -> how to show it upright
    2: lambda a: a[:, :, ::-1],
    3: lambda a: a[:, ::-1, ::-1],
    4: lambda a: a[:, ::-1, :],
    5: lambda a: a.swapaxes(1, 2),
    6: lambda a: np.rot90(a, -1, (1, 2)),
    7: lambda a: a[:, ::-1, ::-1].swapaxes(1, 2),
    8: lambda a: np.rot90(a, 1, (1, 2)),
}


def read_bitmap(path: Path, axes: str = "") -> Raster:
    """Read a PNG, JPEG or BMP file. What it is, is told by its first bytes, not by its name.

    The EXIF orientation is undone, in images and masks alike: the grid is what viewers and labelling tools show.

    Raises:
        DataError: the file is of another kind, damaged, or larger than `MAX_PIXELS`.
    """
    if axes:
        raise DataError(f"{path}: expected no axes for a plain picture, got {axes!r}; leave out --axes")
    try:
        with _open(path) as picture:
            refuse_huge(path, picture.width * picture.height)
            raster = _decode(path, picture)
            return _turn_upright(raster, int(picture.getexif().get(_ORIENTATION_TAG, 1)))
    except _DECODER_ERRORS as error:
        raise damaged(path, error) from error


def _open(path: Path) -> ImageFile:
    # The plugins are called directly: Image.open has a process-wide size limit, `refuse_huge` is ours.
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    kinds: dict[bytes, type[ImageFile]] = {b"\x89PNG": PngImageFile, b"\xff\xd8": JpegImageFile, b"BM": BmpImageFile}
    with path.open("rb") as file:
        start = file.read(4)
    for magic, kind in kinds.items():
        if start.startswith(magic):
            return kind(path)
    raise DataError(f"{path}: expected a PNG, JPEG or BMP picture, got other content; export the file again")


def _decode(path: Path, picture: ImageFile) -> Raster:
    lossy = picture.format == "JPEG"
    raw_mode = str(picture.tile[0].args) if picture.tile else ""
    if picture.mode == "P":
        return _raster(np.asarray(picture), palette=_palette_of(picture))
    if raw_mode.endswith(";16B") and picture.mode in ("RGB", "RGBA"):
        return _raster(_decode_deep_png(path), has_alpha=raw_mode.startswith(("LA", "RGBA")))
    if raw_mode in _GRAY_STEPS:
        return _raster(np.asarray(picture) // np.uint8(_GRAY_STEPS[raw_mode]))
    values = np.asarray(picture.convert("RGB") if picture.mode == "CMYK" else picture)
    return replace(_raster(values, has_alpha=picture.mode in ("LA", "RGBA")), is_lossy=lossy)


def _decode_deep_png(path: Path) -> Shaped[ndarray, "y x c"]:
    import imagecodecs

    try:
        values: ndarray = imagecodecs.png_decode(path.read_bytes())
    except imagecodecs.PngError as error:
        raise damaged(path, error) from error
    return values


def _raster(
    values: Shaped[ndarray, "y x *c"], *, palette: UInt8[ndarray, "n 3"] | None = None, has_alpha: bool = False
) -> Raster:
    pixels = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    pixels, transparent = split_alpha(pixels) if has_alpha else (pixels, False)
    pixels = np.array(
        pixels, dtype=np.uint8 if pixels.dtype == bool else pixels.dtype, order="C"
    )  # Pillow's is read-only
    return Raster(pixels, Geometry.pixels(2), palette, has_transparency=transparent)


def _palette_of(picture: ImageFile) -> UInt8[ndarray, "n 3"]:
    """Return all 256 colours; entries that the file leaves out are black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    stored = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    colours[: len(stored)] = stored
    return colours


def _turn_upright(raster: Raster, orientation: int) -> Raster:
    turn = _TURNS.get(orientation)
    return (
        replace(raster, pixels=np.ascontiguousarray(turn(raster.pixels)), orientation=orientation) if turn else raster
    )
