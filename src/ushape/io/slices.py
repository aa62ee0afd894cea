"""Where DICOM slices lie: put in order along their normal, and refused where they make no volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from ushape.core.errors import DataError

Header = Any
"""A pydicom data set: it has as many attributes as DICOM."""

_ALIKE = 1e-3  # components of directions, and millimetres of pixel size, that may differ between slices
_UNEVEN = 0.1  # of the usual step from slice to slice
_MISSING = 1.5  # usual steps without a slice: one is not there
_MUST_HAVE = ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def order_slices(path: Path, headers: Sequence[Header], names: Sequence[str]) -> Int[ndarray, " slices"]:
    """Return the order of slices along their normal.

    Args:
        names: of the slices' files, for the messages.
    Raises:
        DataError: a header lacks what places it; slices differ in size, pixel size or orientation, lie on each other,
            or are not evenly spaced, as when one is missing.
    """
    for header, name in zip(headers, names, strict=True):
        _check_header(path, header, name)
    _check_alike(path, "size", [(header.Rows, header.Columns) for header in headers], names)
    _check_alike(path, "pixel size", [header.PixelSpacing for header in headers], names)
    _check_alike(path, "orientation", [header.ImageOrientationPatient for header in headers], names)
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=float)
    places = positions @ np.cross(*_axes_in_plane(headers[0]))
    order = np.argsort(places, kind="stable")
    _check_steps(path, places[order], positions[order], [names[index] for index in order])
    return order


def affine_of(headers: Sequence[Header]) -> Float[ndarray, "4 4"]:
    """Return the matrix from (z, y, x) indices to RAS+ mm of slices in order.

    Slices may be shifted against each other, evenly, as a tilted gantry does it. A single slice is as thick as it says.
    """
    first, last = headers[0], headers[-1]
    along_row, along_column = _axes_in_plane(first)
    start, end = (np.array(header.ImagePositionPatient, dtype=float) for header in (first, last))
    thickness = float(first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1)
    step = (end - start) / (len(headers) - 1) if len(headers) > 1 else np.cross(along_row, along_column) * thickness
    row_spacing, column_spacing = map(float, first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([step, along_column * row_spacing, along_row * column_spacing], axis=1)
    affine[:3, 3] = start
    affine[:2] *= -1  # LPS to RAS
    return affine


def is_tilted(headers: Sequence[Header]) -> bool:
    """Tell whether slices in order are shifted against each other, as by a tilted gantry."""
    step = affine_of(headers)[:3, 0] * (-1, -1, 1)  # RAS to LPS
    normal = np.cross(*_axes_in_plane(headers[0]))
    return bool(np.linalg.norm(step - normal * (step @ normal)) > _ALIKE * np.linalg.norm(step))


def _axes_in_plane(header: Header) -> Float[ndarray, "2 3"]:
    return np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)


def _check_header(path: Path, header: Header, name: str) -> None:
    missing = [name for name in _MUST_HAVE if not header.get(name)]
    if missing:
        raise DataError(
            f"{path}: expected slices with {', '.join(_MUST_HAVE)}, got one without {', '.join(missing)} ({name}); "
            "export the series again"
        )
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise DataError(
            f"{path}: expected one slice a file, got a file of {header.NumberOfFrames} frames; "
            "convert it to NIfTI, or export it as single slices"
        )


def _check_alike(path: Path, what: str, values: Sequence[Sequence[Any]], names: Sequence[str]) -> None:
    table = np.array([[float(number) for number in value] for value in values])
    different = np.abs(table - table[0]).max(axis=1) > _ALIKE
    if different.any():
        between = " x " if table.shape[1] == 2 else ", "
        examples = [
            f"{between.join(f'{number:g}' for number in table[index])} ({names[index]})"
            for index in (0, int(different.argmax()))
        ]
        raise DataError(
            f"{path}: expected slices of one {what}, got {examples[0]} and {examples[1]}; "
            "keep those of one volume in a folder of their own"
        )


def _check_steps(
    path: Path, places: Float[ndarray, " slices"], positions: Float[ndarray, "slices 3"], names: Sequence[str]
) -> None:
    if len(places) < 2:
        return
    steps = np.diff(places)
    usual, closest, widest = float(np.median(steps)), int(steps.argmin()), int(steps.argmax())
    if steps[closest] <= _UNEVEN * usual:
        raise DataError(
            f"{path}: expected one slice at each place, got several at {places[closest]:g} mm "
            f"({names[closest]} and {names[closest + 1]}); keep one acquisition in the folder"
        )
    if steps[widest] > _MISSING * usual:
        raise DataError(
            f"{path}: expected a slice every {usual:g} mm, got {steps[widest]:g} mm without one after "
            f"{places[widest]:g} mm (missing slices?); export the whole series again"
        )
    even = np.linspace(places[0], places[-1], len(places))
    if max(np.abs(places - even).max(), steps[widest] - usual) > _UNEVEN * usual:
        raise DataError(
            f"{path}: expected slices at even distances, got gaps from {steps[closest]:g} to {steps[widest]:g} mm; "
            "reconstruct the series with even ones, or resample it to NIfTI first"
        )
    straight = np.linspace(positions[0], positions[-1], len(positions))
    if np.linalg.norm(positions - straight, axis=1).max() > _UNEVEN * usual:
        raise DataError(f"{path}: expected slices along a line, got some shifted sideways; resample it to NIfTI first")
