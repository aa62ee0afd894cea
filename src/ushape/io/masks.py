"""From mask files to a label: one file of values, one for each class, or the segments of a DICOM-SEG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import AnyLabel, Labels
from ushape.io.images import mask_pixels, read_raster, split_name
from ushape.io.listing import show_size
from ushape.io.raster import Raster
from ushape.io.segments import SEG, Placed, cover, place_on
from ushape.io.turns import turn_like

SAME_GRID = 0.1
"""Grids of one size whose corners lie this close, in voxels, are one: below half a voxel no label would change."""


def read_label(
    paths: Sequence[Path], labels: Labels, *, like: Placed | None = None, along: Geometry | None = None
) -> tuple[AnyLabel, Geometry]:
    """Read the mask files of one case as a label, and say where it lies.

    Args:
        paths: one file, or one for each class (see `Labels.overlap`).
        like: the grid on which a DICOM-SEG, whose empty slices are left out, is laid; None for the slices it has.
        along: the grid along whose axes those of the files are turned, see `turn_like`; None leaves them.
    Raises:
        DataError: a file cannot be read, or holds what is no label (see `read_mask` and `Labels.encode`).
        ShapeError: the files do not lie on one grid.
    """
    check_files(paths, labels)
    rasters = [_read_whole(path, like) for path in paths]
    if along:
        rasters = [turn_like(raster, along) for raster in rasters]
    first = rasters[0]
    for path, raster in zip(paths, rasters, strict=True):
        size, expected = raster.pixels.shape[1:], first.pixels.shape[1:]
        if size != expected or first.geometry.shift_to(raster.geometry, size) > SAME_GRID:
            raise ShapeError(
                f"{path}: expected the grid of {paths[0].name} ({show_size(expected)}), got another "
                f"({show_size(size)}); export the masks of all classes on one grid"
            )
    parts = [as_label(path, raster, labels) for path, raster in zip(paths, rasters, strict=True)]
    return join_labels(parts, labels), first.geometry


def read_both(
    first: Sequence[Path], second: Sequence[Path], labels: Labels
) -> tuple[tuple[ndarray, Geometry], tuple[ndarray, Geometry]]:
    """Read two labels of one case as `read_label`; the second along the first's axes, a DICOM-SEG on a grid of both.

    Raises:
        DataError, ShapeError: as `read_label`.
    """
    label, grid = read_label(first, labels)
    other, other_grid = read_label(second, labels, along=grid)
    has_segments = any(split_name(path)[1] == SEG for path in (*first, *second))
    if not has_segments or not all(each.is_placed and each.ndim == 3 for each in (grid, other_grid)):
        return (label, grid), (other, other_grid)
    whole = cover((grid, label.shape[-3:]), (other_grid, other.shape[-3:]))
    return read_label(first, labels, like=whole), read_label(second, labels, like=whole, along=whole[0])


def as_label(path: Path, raster: Raster, labels: Labels) -> AnyLabel:
    """Turn a decoded mask file into a label, or into the mask of its one class (1, *space).

    Raises:
        DataError: as `read_label`.
    """
    if labels.overlap != "none" and raster.has_segments:
        return _split_classes(path, raster, labels)
    values = mask_pixels(path, raster)
    return values[None] != 0 if labels.overlap == "files" else labels.encode(values, str(path))


def check_files(paths: Sequence[Path], labels: Labels) -> None:
    """Refuse one mask file for each class where the label table knows one number per voxel.

    Raises:
        DataError: that is so.
    """
    if len(paths) > 1 and (labels.overlap, labels.merge) == ("none", "none"):
        raise DataError(
            f"{paths[0]}: expected one mask a case for these labels, got {len(paths)}; set data.labels.overlap to "
            '"files", or make one class of all with --foreground'
        )


def join_labels(parts: Sequence[ndarray], labels: Labels) -> AnyLabel:
    """Put what the files of one case hold together, in the order of the classes."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if labels.overlap == "files" else np.maximum.reduce(parts)


def _read_whole(path: Path, like: Placed | None) -> Raster:
    raster = read_raster(path)
    return place_on(raster, *like, str(path)) if raster.has_segments and like else raster


def _split_classes(path: Path, raster: Raster, labels: Labels) -> Bool[ndarray, "classes *space"]:
    """Take the masks of all classes out of one file: a channel for each, or values where none overlaps another."""
    classes = labels.count - 1
    if len(raster.pixels) > 1:
        if len(raster.pixels) != classes:
            raise DataError(
                f"{path}: expected {classes} classes ({', '.join(labels.names[1:])}), got {len(raster.pixels)}; "
                "predict with the model that was trained on these"
            )
        return raster.pixels != 0
    values = mask_pixels(path, raster)
    strangers = sorted(set(np.unique(values).tolist()) - set(labels.values))
    if strangers:
        raise DataError(f"{path}: expected values {list(labels.values)}, got also {strangers[:8]}; correct the mask")
    return np.stack([values == value for value in labels.values[1:]])
