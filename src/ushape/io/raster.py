"""What a reader hands over: the pixels of one file, where they lie, and what the file says about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError

MAX_CHANNELS = 8
"""A fourth axis longer than this is taken for time, not for channels."""
MAX_PIXELS = 2**30
"""Larger files are refused: a damaged or hostile header must not fill the memory (a gigapixel is 1 to 12 GB)."""


@dataclass(frozen=True, eq=False)
class Raster:
    """One file, decoded.

    Attributes:
        pixels: (channels, *space) in the stored dtype (1-bit as uint8 0 and 1); transparency is not among the channels.
        geometry: where the pixels lie.
        palette: (entries, 3) colours if the pixels are indices into such a table, else None.
        is_lossy: the values went through a compression that changes them.
        has_transparency: the file has an alpha channel that is not opaque everywhere.
        orientation: the EXIF orientation that was undone; 1 if there was nothing to turn.
        has_segments: it is a DICOM-SEG: values as ushape writes them, or a channel for each segment, on a part of its
            image's grid.
    """

    pixels: Shaped[ndarray, "channels *space"]
    geometry: Geometry
    palette: UInt8[ndarray, "entries 3"] | None = None
    is_lossy: bool = False
    has_transparency: bool = False
    orientation: int = 1
    has_segments: bool = False


Reader = Callable[[Path, str], Raster]
"""`reader(path, axes)`; axes names the axes of the file's array ("ZYX"), or is "" to believe the file."""


def refuse_huge(path: Path, pixels: int) -> None:
    """Refuse an image of more than `MAX_PIXELS` pixels before it is decoded."""
    if pixels > MAX_PIXELS:
        raise DataError(
            f"{path}: expected at most {MAX_PIXELS / 1e6:,.0f} million pixels, got {pixels / 1e6:,.0f} million; "
            "cut it into tiles, or copy it again if it should be smaller"
        )


def damaged(path: Path, reason: object) -> DataError:
    """Build the error for a file that its decoder gave up on."""
    return DataError(f"{path}: cannot be decoded ({reason}); copy or export the file again, or remove it")


def check_channels(path: Path, count: int, axes: str) -> None:
    """Refuse a volume file with a fourth axis of `count` that is no channels.

    Up to `MAX_CHANNELS` are channels unless `axes` says "ZYX"; more are taken for a time series unless it names a C.

    Raises:
        DataError: there are too many, or none are wanted, or `axes` names anything else.
    """
    letters = sorted(axes.upper())
    if letters not in ([], ["X", "Y", "Z"], ["C", "X", "Y", "Z"]):
        raise DataError(f"{path}: expected axes ZYX or CZYX for a volume file, got {axes!r}; leave out --axes")
    if count > 1 and (letters == ["X", "Y", "Z"] or (count > MAX_CHANNELS and not letters)):
        raise DataError(
            f"{path}: expected one volume, got {count} in one file (a fourth axis); split it, or, if they are "
            "channels, say so with --axes CZYX"
        )


def locate(path: Path, affine: Float[ndarray, "n n"]) -> Geometry:
    """Build the geometry of a file from its matrix, indices in array axis order to RAS+ mm.

    Raises:
        DataError: the matrix is no grid; see `Geometry.from_affine`.
    """
    try:
        return Geometry.from_affine(affine)
    except DataError as error:
        what = str(error).removeprefix("geometry: ")
        raise DataError(f"{path}: {what}; correct spacing and direction in its header, or export it again") from error


def rescale(values: Shaped[ndarray, "*any"], slope: float, intercept: float) -> Shaped[ndarray, "*any"]:
    """Apply the scaling that a header asks for: exactly and in integers where it is whole, else in floats.

    >>> values = np.array([0, 2024], dtype=np.uint16)
    >>> rescale(values, 1.0, -1024.0), rescale(values, 0.5, 0.0)
    (array([-1024,  1000], dtype=int16), array([   0., 1012.], dtype=float32))
    """
    if (slope, intercept) == (1.0, 0.0):
        return values
    dtype = _scaled_type(values, slope, intercept)
    out = values.astype(dtype)
    out *= np.array(slope).astype(dtype)  # integers may overflow on the way: modulo 2**n they come out right
    out += np.array(intercept).astype(dtype)
    return out


def _scaled_type(values: Shaped[ndarray, "*any"], slope: float, intercept: float) -> np.dtype:
    if np.issubdtype(values.dtype, np.integer) and slope.is_integer() and intercept.is_integer():
        ends = [int(end) * int(slope) + int(intercept) for end in (values.min(), values.max())]
        for dtype in (np.int16, np.int32):
            limits = np.iinfo(dtype)
            if max(abs(slope), abs(intercept), *map(abs, ends)) <= limits.max:
                return np.dtype(dtype)
    return np.promote_types(values.dtype, np.float32) if values.dtype.itemsize > 2 else np.dtype(np.float32)


def split_alpha(values: Shaped[ndarray, "channels *space"]) -> tuple[Shaped[ndarray, "rest *space"], bool]:
    """Split off the last channel as transparency, and say whether it is opaque nowhere or not everywhere.

    >>> pixels, transparent = split_alpha(np.full((2, 1, 1), 255, dtype=np.uint8))
    >>> pixels.shape, transparent
    ((1, 1, 1), False)
    """
    alpha = values[-1]
    opaque = np.iinfo(alpha.dtype).max if np.issubdtype(alpha.dtype, np.integer) else 1.0
    return values[:-1], bool((alpha != opaque).any())
