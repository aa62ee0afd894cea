"""How large the voxels of a TIFF are: what OME and ImageJ write beside the pixels, read and written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ushape.core.case import Geometry

if TYPE_CHECKING:
    from tifffile import TiffFile

_MM_PER_UNIT = {
    **dict.fromkeys(("m", "meter", "metre"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 10.0),
    **dict.fromkeys(("mm", "millimeter"), 1.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "\\u00b5m", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("nm", "nanometer"), 1e-6),
    **dict.fromkeys(("\u00c5", "angstrom"), 1e-7),
    **dict.fromkeys(("in", "inch"), 25.4),
}
_COARSE = 0.1  # mm: from here on voxels are written in mm, finer ones in micrometres
_IMAGEJ_TYPES = (np.uint8, np.uint16, np.float32)
_DIGITS = 12  # of a size: hides what changing the unit does to its last bits


@dataclass(frozen=True)
class SizeOptions:
    """What `tifffile.imwrite` must be told so that a file says how large its voxels are.

    Attributes:
        metadata: beside the axes.
        is_imagej: whether the file is one of ImageJ's.
        resolution: pixels per unit along a row and along a column, for ImageJ.
    """

    metadata: Mapping[str, object] = field(default_factory=dict)
    is_imagej: bool = False
    resolution: tuple[float, float] | None = None


def read_geometry(file: TiffFile, letters: str) -> Geometry:
    """Return the voxel size that OME or ImageJ metadata give, in mm; pixels where one of an axis is missing.

    Resolution tags alone do not count: programs fill them with dots per inch that mean nothing.

    Args:
        letters: the axes of the image, some of C, Z, Y, X.
    """
    found = _read_ome(file) if file.is_ome else _read_imagej(file) if file.is_imagej else {}
    axes = [axis for axis in "ZYX" if axis in letters]
    spacing = tuple(_round(found.get(axis, math.nan)) for axis in axes)
    is_known = all(0 < size < math.inf for size in spacing)
    return Geometry.sized(spacing) if is_known else Geometry.pixels(len(axes))


def size_options(geometry: Geometry | None, dtype: np.dtype, *, ome: bool) -> SizeOptions:
    """Say how a TIFF is written whose voxels have a size in mm.

    A type that ImageJ has not (32-bit integers, half floats) has no place for it outside OME.
    """
    if geometry is None or geometry.unit != "mm" or not (ome or dtype in _IMAGEJ_TYPES):
        return SizeOptions()
    is_coarse = max(geometry.spacing) >= _COARSE
    sizes = [_round(size * (1 if is_coarse else 1e3)) for size in geometry.spacing]
    if ome:
        by_axis = zip("ZYX"[-len(sizes) :], sizes, strict=True)
        unit = "mm" if is_coarse else "\u00b5m"
        return SizeOptions(
            {key: value for axis, size in by_axis for key, value in _ome_attributes(axis, size, unit).items()}
        )
    depth = {"spacing": sizes[0]} if len(sizes) == 3 else {}
    metadata = {"unit": "mm" if is_coarse else "micron", **depth}
    return SizeOptions(metadata, is_imagej=True, resolution=(1 / sizes[-1], 1 / sizes[-2]))


def _ome_attributes(axis: str, size: float, unit: str) -> dict[str, object]:
    return {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}


def _read_ome(file: TiffFile) -> dict[str, float]:
    """Return the size along each axis in mm; a unit that is not named is the micrometre, as OME says."""
    import tifffile

    image: Any = tifffile.xml2dict(file.ome_metadata or "").get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, (list, tuple)) else image).get("Pixels", {})
    return {
        axis: _in_mm(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "\u00b5m"))
        for axis in "ZYX"
    }


def _read_imagej(file: TiffFile) -> dict[str, float]:
    """Return the size along each axis in mm, if the file names a unit of length."""
    found = file.imagej_metadata or {}
    tags = file.pages.first.tags
    sizes = {axis: _size_of(tags.get(f"{axis}Resolution")) for axis in "XY"}
    return {axis: _in_mm(size, found.get("unit")) for axis, size in {**sizes, "Z": found.get("spacing")}.items()}


def _size_of(tag: Any) -> float | None:
    """Return the size of a pixel; of a tag (pixels, units) the inverse."""
    return tag.value[1] / tag.value[0] if tag is not None and tag.value[0] else None


def _in_mm(size: object, unit: object) -> float:
    factor = _MM_PER_UNIT.get(str(unit).strip().lower() if len(str(unit)) > 1 else str(unit))
    return float(size) * factor if isinstance(size, (int, float)) and factor is not None else math.nan


def _round(size: float) -> float:
    return float(f"{size:.{_DIGITS}g}")
