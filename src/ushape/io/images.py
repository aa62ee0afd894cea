"""Images and masks from files: one table says which reader serves which file name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped
from numpy import ndarray

from ushape.core.errors import DataError
from ushape.io.bitmaps import read_bitmap
from ushape.io.dicom import holds_dicom, read_dicom
from ushape.io.itk import read_itk
from ushape.io.nifti import read_nifti
from ushape.io.raster import Raster, Reader
from ushape.io.segments import read_segments
from ushape.io.tiffs import read_tiff

READERS: dict[str, Reader] = {
    ".png": read_bitmap,
    ".jpg": read_bitmap,
    ".jpeg": read_bitmap,
    ".bmp": read_bitmap,
    ".ome.tif": read_tiff,
    ".ome.tiff": read_tiff,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_itk,
    ".nhdr": read_itk,
    ".mha": read_itk,
    ".mhd": read_itk,
    ".zip": read_dicom,
    ".dcm": read_segments,
}
"""Ending of the file name, lower case, to its reader; the longest ending that fits wins."""


def split_name(path: Path) -> tuple[str, str]:
    """Split a file name into its stem and the ending that names its format, "" if no reader knows it.

    >>> split_name(Path("a.b.png")), split_name(Path("cell.ome.tif")), split_name(Path("notes.txt"))
    (('a.b', '.png'), ('cell', '.ome.tif'), ('notes.txt', ''))
    """
    name = path.name
    fitting = [ending for ending in READERS if name.lower().endswith(ending) and len(name) > len(ending)]
    ending = max(fitting, key=len, default="")
    return name[: len(name) - len(ending)], ending


def is_readable(path: Path) -> bool:
    """Tell whether there is a reader for a file, by its name, or for a folder: one with DICOM slices in it or below.

    Hidden ones are never read.
    """
    return not path.name.startswith(".") and (split_name(path)[1] != "" or holds_dicom(path))


def is_series(path: Path) -> bool:
    """Tell whether a path holds DICOM series, perhaps several: a zip, or a folder with slices in it or below."""
    return split_name(path)[1] == ".zip" or holds_dicom(path)


def read_raster(path: Path, *, axes: str = "", series: str = "") -> Raster:
    """Read any file that is in `READERS`, or a folder with DICOM slices in it or below, as stored.

    Args:
        axes: what the axes of a multi-page TIFF are, like "ZYX", or "CZYX" for a volume file with a long fourth axis of
            channels; "" to believe the file.
        series: which DICOM series, by UID, its end, or part of its description; needed where there are several.
    Raises:
        DataError: the file is missing, empty, damaged, or of no known kind.
    """
    if holds_dicom(path) or (series and path.is_dir()):
        return read_dicom(path, axes, series)
    reader = READERS.get(split_name(path)[1])
    if reader is None:
        raise DataError(f"{path}: expected one of {', '.join(sorted(READERS))}, got another kind; convert the file")
    if not path.is_file():
        raise DataError(f"{path}: expected a file, got {'a folder' if path.is_dir() else 'nothing'}; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: expected an image, got an empty file (0 bytes); copy it again, or remove it")
    return read_dicom(path, axes, series) if reader is read_dicom else reader(path, axes)


def read_image(path: Path, *, axes: str = "") -> Shaped[ndarray, "channels *space"]:
    """Read an image as (channels, *space) in its stored dtype.

    Palettes become RGB, CMYK becomes RGB, an alpha channel is dropped, 1-bit is 0 and 1, EXIF orientation is undone.
    The array is writable and contiguous.

    Raises:
        DataError: see `read_raster`; or there are NaN or infinite pixels.
    """
    return image_pixels(path, read_raster(path, axes=axes))


def read_mask(path: Path, *, axes: str = "") -> Integer[ndarray, "*space"]:
    """Read a mask as the integers that are in the file; `Labels.encode` makes classes of them.

    A palette picture gives its indices, 1-bit gives 0 and 1, RGB with three equal channels one of them.

    Raises:
        DataError: see `read_raster`; or the file cannot hold labels: JPEG, colours, transparency, fractions.
    """
    return mask_pixels(path, read_raster(path, axes=axes))


def image_pixels(path: Path, raster: Raster) -> Shaped[ndarray, "channels *space"]:
    """Turn a decoded file into an image; `path` is for the messages. See `read_image`."""
    pixels = raster.pixels
    if raster.palette is not None:
        entries = np.minimum(pixels[0], len(raster.palette) - 1)
        pixels = np.stack([colour[entries] for colour in raster.palette.T])
    if np.issubdtype(pixels.dtype, np.complexfloating):
        raise DataError(f"{path}: expected real pixels, got {pixels.dtype}; save the magnitude")
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        bad = int(np.size(pixels) - np.isfinite(pixels).sum())
        raise DataError(
            f"{path}: expected finite pixels, got {bad} NaN or infinite ones; replace them, or remove the file"
        )
    return pixels


def mask_pixels(path: Path, raster: Raster) -> Integer[ndarray, "*space"]:
    """Turn a decoded file into a mask; `path` is for the messages. See `read_mask`."""
    if raster.is_lossy:
        raise DataError(f"{path}: expected label values, got JPEG, which invents values; save masks as PNG or TIFF")
    if raster.has_transparency:
        raise DataError(
            f"{path}: expected an opaque mask, got transparent pixels; flatten it onto black and save as gray"
        )
    values = _one_channel(path, raster.pixels)
    return values if np.issubdtype(values.dtype, np.integer) else _whole_numbers(path, values)


def is_gray(pixels: Shaped[ndarray, "channels *space"]) -> bool:
    """Tell whether all channels hold the same values."""
    return all(np.array_equal(pixels[0], channel) for channel in pixels[1:])


def _one_channel(path: Path, pixels: Shaped[ndarray, "channels *space"]) -> Shaped[ndarray, "*space"]:
    if is_gray(pixels):
        first: ndarray = pixels[0]
        return first
    what = "colours" if len(pixels) == 3 else f"{len(pixels)} different channels"
    remedy = "as gray or palette PNG" if pixels.ndim == 3 else "as one volume"
    raise DataError(
        f"{path}: expected one number per pixel, got {what}; save the mask {remedy} with one value per class"
    )


def _whole_numbers(path: Path, values: Shaped[ndarray, "*space"]) -> Integer[ndarray, "*space"]:
    """Turn floats that are whole numbers into the smallest integers that hold them."""
    lost = values.size - np.count_nonzero(np.isfinite(values))
    if lost or (values != np.rint(values)).any() or np.abs(values).max() >= 2**31:
        what = f"{lost} NaN or infinite ones" if lost else "fractions"
        raise DataError(
            f"{path}: expected whole label values, got {values.dtype} with {what}; "
            "threshold the mask and save it as integers"
        )
    low, high = int(values.min()), int(values.max())
    return values.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))
