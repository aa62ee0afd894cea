"""DICOM-SEG files as masks: their frames put where they say, for slices without any content are left out of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError, require
from ushape.io.raster import Raster, damaged, locate, refuse_huge
from ushape.io.slices import Header

SEG = ".dcm"
"""The ending of a DICOM-SEG file."""
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""The SOP classes of BINARY (and FRACTIONAL) and of LABELMAP segmentations."""
VALUE_TEXT = "value {} in mask files"
"""A segment's description, by which the number of its class in other mask files is kept."""
Placed = tuple[Geometry, tuple[int, ...]]
"""A grid: where it lies, and its size."""
_VALUE = re.compile(VALUE_TEXT.format(r"(\d+)"))
_ON_GRID = 0.1
"""Voxels by which a frame may miss its place."""
_DECODER_ERRORS = (OSError, EOFError, ValueError, LookupError, AttributeError, NotImplementedError, TypeError)


@dataclass(frozen=True, eq=False)
class _Frames:
    """The frames of a file: (n, rows, cols) pixels, and of each its place (LPS, mm) and segment, 0 for a label map."""

    pixels: Shaped[ndarray, "n rows cols"]
    places: Float[ndarray, "n 3"]
    segments: tuple[int, ...]


def read_segments(path: Path, axes: str = "") -> Raster:
    """Read a DICOM-SEG as a mask on the smallest grid that holds its frames; see `place_on` for the whole grid.

    One channel with the values of the classes where segments do not overlap: those that ushape has written down beside
    each segment, else the segments' numbers. Else one channel of 0 and 1 per segment.

    Args:
        axes: must be empty or "ZYX".
    Raises:
        MissingExtra: pydicom is not installed.
        DataError: the file is damaged, holds fractions, or no segmentation.
    """
    if axes.upper() not in ("", "ZYX"):
        raise DataError(f"{path}: expected no axes for DICOM-SEG, got {axes!r}; leave out --axes")
    errors = require("pydicom.errors", "medical", f"{path}: reading DICOM")
    try:
        header = _read_file(path)
        frames = _read_frames(header)
        geometry, rows = _lay_out(path, header, frames.places)
        return Raster(_fill(path, frames, rows, _values_of(header)), geometry, has_segments=True)
    except (errors.InvalidDicomError, errors.BytesLengthException, *_DECODER_ERRORS) as error:
        raise damaged(path, error) from error


def place_on(raster: Raster, geometry: Geometry, space: Sequence[int], where: str) -> Raster:
    """Lay a mask, of which empty slices were left out, on the whole grid it was drawn on; background fills the rest.

    Raises:
        ShapeError: its voxels are not some of the grid's.
    """
    shift = np.linalg.solve(geometry.affine, raster.geometry.affine)  # from its indices to those of the grid
    starts = np.rint(shift[:-1, -1]).astype(int)
    part = tuple(slice(start, start + size) for start, size in zip(starts, raster.pixels.shape[1:], strict=True))
    expected = np.eye(len(space) + 1)
    expected[:-1, -1] = starts
    is_inside = all(box.start >= 0 and box.stop <= size for box, size in zip(part, space, strict=True))
    ends = np.array([*(size - 1 for size in raster.pixels.shape[1:]), 1.0])
    if not is_inside or np.abs((shift - expected) @ np.diag(ends)).max() > _ON_GRID:
        raise ShapeError(f"{where}: expected frames on the slices of its image, got others; use the image's own mask")
    whole = np.zeros((len(raster.pixels), *space), dtype=raster.pixels.dtype)
    whole[(slice(None), *part)] = raster.pixels
    return Raster(whole, geometry, has_segments=True)


def cover(first: Placed, second: Placed) -> Placed:
    """Return the smallest grid with the voxels of the first that holds both; for masks without their empty slices.

    >>> grid = Geometry.from_affine(np.eye(3))
    >>> cover((grid, (2, 2)), (Geometry.from_affine(np.array([[1.0, 0, -3], [0, 1, 0], [0, 0, 1]])), (1, 2)))[1]
    (5, 2)
    """
    (geometry, space), (other, other_space) = first, second
    starts = np.rint(np.linalg.solve(geometry.affine, other.affine)[:-1, -1]).astype(int)
    low = np.minimum(starts, 0)
    high = np.maximum(starts + other_space, space)
    origin = geometry.affine @ np.array([*low, 1.0])
    return replace(geometry, origin=tuple(origin[:-1].tolist())), tuple((high - low).tolist())


def _read_file(path: Path) -> Header:
    from pydicom import dcmread

    header = dcmread(path)
    if header.get("SOPClassUID") not in SEGMENTATION_CLASSES:
        kind = getattr(header.get("SOPClassUID"), "name", "no kind of object")
        raise DataError(
            f"{path}: expected a DICOM-SEG, got {kind}; of an image give the folder that holds all slices of its series"
        )
    if header.SegmentationType == "FRACTIONAL":
        raise DataError(f"{path}: expected segments of 0 and 1, got fractions; export it as binary segmentation")
    refuse_huge(path, int(header.NumberOfFrames) * int(header.Rows) * int(header.Columns))
    return header


def _read_frames(header: Header) -> _Frames:
    size = (int(header.NumberOfFrames), int(header.Rows), int(header.Columns))
    groups = header.PerFrameFunctionalGroupsSequence
    places = [group.PlanePositionSequence[0].ImagePositionPatient for group in groups]
    if header.SegmentationType == "LABELMAP":
        segments = [0] * len(groups)
    else:
        segments = [
            int(_shared(header, group, "SegmentIdentificationSequence").ReferencedSegmentNumber) for group in groups
        ]
    return _Frames(header.pixel_array.reshape(size), np.array(places, dtype=float), tuple(segments))


def _shared(header: Header, group: Any, name: str) -> Any:
    """Return what is said of a frame: by itself, or for all of them."""
    found = group if name in group else header.SharedFunctionalGroupsSequence[0]
    return getattr(found, name)[0]


def _lay_out(path: Path, header: Header, places: Float[ndarray, "n 3"]) -> tuple[Geometry, Integer[ndarray, " n"]]:
    """Return the grid that holds all frames, and the slice of it on which each lies."""
    first = header.PerFrameFunctionalGroupsSequence[0]
    measures = _shared(header, first, "PixelMeasuresSequence")
    axes = np.array(_shared(header, first, "PlaneOrientationSequence").ImageOrientationPatient, dtype=float)
    along_row, along_column = axes.reshape(2, 3)
    normal = np.cross(along_row, along_column)
    heights = places @ normal
    order = np.argsort(heights, kind="stable")
    low, high = places[order[0]], places[order[-1]]
    step = _step(heights[order], measures)
    slices = np.rint((heights - heights[order[0]]) / step).astype(int)
    count = int(slices.max())
    row_spacing, column_spacing = map(float, measures.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = (high - low) / count if count else normal * step
    affine[:3, 1], affine[:3, 2] = along_column * row_spacing, along_row * column_spacing
    affine[:3, 3] = low
    missed = np.abs(low + slices[:, None] * affine[:3, 0] - places).max()
    if missed > _ON_GRID * step:
        raise DataError(f"{path}: expected frames at even distances, got some {missed:.3g} mm off; export it again")
    affine[:2] *= -1  # LPS to RAS
    return locate(path, affine), slices


def _step(heights: Float[ndarray, " n"], measures: Any) -> float:
    """Return the distance from slice to slice; the smallest that occurs, where the file does not say."""
    apart = np.diff(heights)
    apart = apart[apart > 1e-3]
    said = measures.get("SpacingBetweenSlices") or (None if len(apart) else measures.get("SliceThickness"))
    return float(said) if said else float(apart.min()) if len(apart) else 1.0


def _values_of(header: Header) -> dict[int, int]:
    """Return the value of each segment in mask files, by its number."""
    numbers = [int(segment.SegmentNumber) for segment in header.SegmentSequence]
    matches = [_VALUE.fullmatch(str(segment.get("SegmentDescription", ""))) for segment in header.SegmentSequence]
    known = {number: int(match[1]) for number, match in zip(numbers, matches, strict=True) if match}
    return known if len(known) == len(set(numbers) - {0}) else {number: number for number in numbers if number}


def _fill(
    path: Path, frames: _Frames, slices: Integer[ndarray, " n"], values: dict[int, int]
) -> Shaped[ndarray, "channels z rows cols"]:
    space = (int(slices.max()) + 1, *frames.pixels.shape[1:])
    refuse_huge(path, len(values) * space[0] * space[1] * space[2])
    dtype = np.min_scalar_type(max(values.values(), default=0))
    if not any(frames.segments):
        table = np.zeros(max(int(frames.pixels.max()), *values, 0) + 1, dtype)
        table[list(values)] = list(values.values())
        labels = np.zeros((1, *space), dtype)
        labels[0, slices] = table[frames.pixels]
        return labels
    return _paint(
        _stack_segments(frames, slices, space, sorted(values)), [values[key] for key in sorted(values)], dtype
    )


def _stack_segments(
    frames: _Frames, slices: Integer[ndarray, " n"], space: tuple[int, ...], numbers: Sequence[int]
) -> Bool[ndarray, "segments z rows cols"]:
    masks = np.zeros((len(numbers), *space), dtype=bool)
    for pixels, segment, row in zip(frames.pixels, frames.segments, slices, strict=True):
        masks[numbers.index(segment), row] |= pixels > 0
    return masks


def _paint(
    masks: Bool[ndarray, "segments z rows cols"], values: Sequence[int], dtype: np.dtype
) -> Shaped[ndarray, "channels z rows cols"]:
    """Put masks together in one channel if none overlaps another."""
    if masks.sum(axis=0, dtype=np.uint16).max(initial=0) > 1:
        return masks.astype(np.uint8)
    combined = np.zeros((1, *masks.shape[1:]), dtype)
    for mask, value in zip(masks, values, strict=True):
        combined[0][mask] = value
    return combined
