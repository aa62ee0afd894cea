"""TIFF: pages, samples and planes, brought into the order (channels, *space)."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.io.raster import Raster, damaged, refuse_huge, split_alpha
from ushape.io.voxel_size import read_geometry, size_options

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_UNKNOWN_AXES = "IQT"  # pages in a row, unnamed, or frames in time: what they mean is the user's knowledge
_ALPHA = (1, 2)  # the extra-sample types that are transparency
_PALETTE = 3
_JPEG = (6, 7, 33007)
_WIDE = 4096  # pixels from which on a TIFF is cut into tiles, so that others can read parts of it
_TILE = (512, 512)
_DECODER_ERRORS = (OSError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, struct.error)


def read_tiff(path: Path, axes: str = "") -> Raster:
    """Read the first series of a TIFF file: a picture or a volume.

    Axes come from `axes`, else from OME or ImageJ metadata; axes of length 1 fall away. `C` and `S` (samples) are
    channels. Values are as stored also where 0 means white (writers of masks do not agree), and the
    orientation tag is not looked at. Voxels have the size that such metadata give, see `read_geometry`.

    Args:
        axes: one letter of Z, Y, X, C per axis of the file's array, for instance "ZYX"; "" to believe the file.
    Raises:
        DataError: the file is damaged, or its pages need `axes`, or `axes` does not fit.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return _read_series(path, file, axes.upper())
    except (tifffile.TiffFileError, *_DECODER_ERRORS) as error:
        raise damaged(path, error) from error


def write_tiff(
    path: Path, values: Shaped[ndarray, "*any"], axes: str, geometry: Geometry | None = None, *, ome: bool = False
) -> None:
    """Write a TIFF with named axes; if its voxels have a size, with that, as OME or for ImageJ (see `size_options`)."""
    import tifffile

    size = size_options(geometry, values.dtype, ome=ome)
    tifffile.imwrite(
        path,
        values,
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": axes, **size.metadata},
        ome=ome,
        imagej=size.is_imagej,
        resolution=size.resolution,
        tile=_TILE if min(values.shape[-2:]) >= _WIDE else None,
    )


def _read_series(path: Path, file: TiffFile, axes: str) -> Raster:
    series = _first_series(path, file)
    letters, shape = _without_singletons(series)
    letters = _checked_axes(path, letters, shape, axes)
    refuse_huge(path, math.prod(shape))
    page = series.keyframe
    pixels = _channels_first(series.asarray().reshape(shape), letters)
    pixels, transparent = split_alpha(pixels) if _has_alpha(page, letters) else (pixels, False)
    return Raster(
        pixels=pixels.astype(np.uint8) if pixels.dtype == bool else pixels,
        geometry=read_geometry(file, letters),
        palette=_palette_of(page),
        is_lossy=int(page.compression) in _JPEG,
        has_transparency=transparent,
    )


def _first_series(path: Path, file: TiffFile) -> TiffPageSeries:
    if not file.series or not math.prod(file.series[0].shape):
        raise DataError(f"{path}: expected an image, got a TIFF without pixels; export the file again")
    return file.series[0]


def _without_singletons(series: TiffPageSeries) -> tuple[str, tuple[int, ...]]:
    kept = [
        (axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 or axis in ("Y", "X")
    ]
    return "".join(axis for axis, _ in kept), tuple(size for _, size in kept)


def _checked_axes(path: Path, found: str, shape: tuple[int, ...], given: str) -> str:
    """Return the letter of every axis: the given ones, else the file's own with S read as C."""
    letters = (given or found).replace("S", "C")
    size = "x".join(str(n) for n in shape)
    if len(letters) != len(shape):
        raise DataError(
            f"{path}: expected one letter for each axis of {size}, got --axes {given}; "
            "name them like ZYX or YXC, without axes of length 1"
        )
    if any(letter in _UNKNOWN_AXES for letter in letters) and not given:
        raise DataError(
            f"{path}: expected a picture or named axes, got {size} without saying what the pages are; "
            "say it with --axes, for instance ZYX for a volume or CYX for channels"
        )
    if set(letters) - set("CZYX") or not set("YX") <= set(letters) or len(set(letters)) < len(letters):
        raise DataError(
            f"{path}: expected axes Y and X and at most one C and Z, got {letters} ({size}); split the file"
        )
    return letters


def _channels_first(values: Shaped[ndarray, "*any"], letters: str) -> Shaped[ndarray, "c *space"]:
    order = [letters.index(letter) for letter in "CZYX" if letter in letters]
    values = np.ascontiguousarray(values.transpose(order))
    return values if "C" in letters else values[None]


def _has_alpha(page: Any, letters: str) -> bool:
    return "C" in letters and page.samplesperpixel > 1 and bool(page.extrasamples) and page.extrasamples[-1] in _ALPHA


def _palette_of(page: Any) -> UInt8[ndarray, "n 3"] | None:
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    colours: ndarray = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
    return colours
