"""A repaired copy of a data set: what can be put right without guessing. The original is never touched."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ushape.core.errors import DataError, OutputError
from ushape.io.cases import Regrid, lies_elsewhere, mask_axes, read_pair
from ushape.io.images import mask_pixels, read_raster, split_name
from ushape.io.layouts import scan_dataset
from ushape.io.masks import SAME_GRID
from ushape.io.outputs import Grid, mask_name, write_mask, write_picture
from ushape.io.pair_faults import NEAR_GRID
from ushape.io.pairs import Pair
from ushape.io.raster import Raster
from ushape.io.turns import turn_like


@dataclass(frozen=True)
class Repair:
    """What was done to a file of the copy.

    Attributes:
        file: its place in the data set.
        done: what is different now; () if it was copied as it is.
        reason: why it was, though something is wrong with it; else "".
    """

    file: Path
    done: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {', '.join(self.done) or f'copied as it is: {self.reason}'}"


def fix_dataset(folder: Path, target: Path, *, axes: str = "", regrid: Regrid | None = None) -> list[Repair]:
    """Copy a data set and repair the copy, which appears when all is done.

    Float labels that are whole numbers become integers, masks of equal channels become one channel, pictures are turned
    upright, and a mask whose grid is less than a voxel off takes over its image's header. One on another grid, which
    training would resample, is resampled. All else is copied as it is.

    Args:
        folder: the data set, or its table.
        target: a folder that is not there yet, or is empty.
        regrid: what brings a mask onto its image's grid; None leaves such masks as they are.
    Returns:
        The files that differ from the original, and those that could not be repaired.
    Raises:
        DataError: it is no data set, or lists files outside its folder.
        OutputError: the target is not empty, lies in the data set, or cannot be written.
    """
    found = scan_dataset(folder)
    root = folder if folder.is_dir() else folder.parent
    _check_places(root, target, [file for pair in found.pairs for file in (*pair.images, *pair.masks)])
    partial = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        shutil.copytree(root, partial, ignore=shutil.ignore_patterns(".*"))
        copy = _Copy(root, partial, may_rename=not found.is_listed, regrid=regrid)
        repairs = [repair for pair in found.pairs for repair in _repair_pair(pair, copy, axes or found.axes)]
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return repairs


@dataclass(frozen=True)
class _Copy:
    """A data set and its copy.

    Attributes:
        may_rename: whether files are found by their stems, so that a file may get another ending.
        regrid: see `fix_dataset`.
    """

    root: Path
    target: Path
    may_rename: bool
    regrid: Regrid | None

    def place(self, file: Path, name: str) -> Path | None:
        """Return where a file goes under another name, the old one removed; None if names must be kept."""
        old = self.target / file.relative_to(self.root)
        if name == file.name:
            return old
        if not self.may_rename:
            return None
        old.unlink()
        return old.with_name(name)


def _repair_pair(pair: Pair, copy: _Copy, axes: str) -> list[Repair]:
    file = pair.image
    try:
        image = read_pair(pair, axes=axes)
        repairs = [_turn_image(path, copy) for path in pair.images if image.orientation != 1]
        for file in pair.masks:
            repairs.append(_repair_mask(file, image, pair.image, copy, mask_axes(axes)))
    except DataError as error:
        repairs = [Repair(file.relative_to(copy.root), (), str(error))]
    return [repair for repair in repairs if repair.done or repair.reason]


def _turn_image(path: Path, copy: _Copy) -> Repair:
    raster = read_raster(path)
    relative = path.relative_to(copy.root)
    if raster.orientation == 1:
        return Repair(relative, ())
    place = copy.place(path, f"{split_name(path)[0]}.png") if raster.pixels.dtype == np.uint8 else None
    if place is None:
        return Repair(relative, (), "only a PNG of 8 bits can be written upright, and it has another name or type")
    pixels = raster.pixels[0] if len(raster.pixels) == 1 else np.moveaxis(raster.pixels, 0, -1)
    write_picture(place, np.ascontiguousarray(pixels))
    return Repair(place.relative_to(copy.target), (f"turned upright, was EXIF orientation {raster.orientation}",))


def _repair_mask(path: Path, image: Raster, image_path: Path, copy: _Copy, axes: str) -> Repair:
    raster = read_raster(path, axes=axes)
    turned = turn_like(raster, image.geometry)
    shift = _shift(image, turned)
    is_near = SAME_GRID < shift <= NEAR_GRID
    is_elsewhere = copy.regrid is not None and not raster.has_segments and lies_elsewhere(image, turned)
    values, done = mask_pixels(path, turned if is_near or is_elsewhere else raster), _list_changes(raster)
    if is_near:
        done += (f"its image's header, was {shift:.3g} voxels off",)
    elif is_elsewhere:
        done += ("resampled onto its image's grid",)
    relative = path.relative_to(copy.root)
    if not done:
        return Repair(relative, ())
    place = copy.place(path, mask_name(path))
    if place is None:
        return Repair(relative, (), f"the list names it {path.name}, but masks are written as {mask_name(path)}")
    if copy.regrid is not None and is_elsewhere and not is_near:
        values = copy.regrid(values, turned.geometry, image.geometry, image.pixels.shape[1:])
    on_image = Grid(image.geometry, image_path)
    write_mask(place, values, grid=on_image if is_near or is_elsewhere else Grid(raster.geometry, path))
    return Repair(place.relative_to(copy.target), done)


def _list_changes(raster: Raster) -> tuple[str, ...]:
    found = (
        (np.issubdtype(raster.pixels.dtype, np.floating), f"integers, was {raster.pixels.dtype}"),
        (len(raster.pixels) > 1, f"one channel, was {len(raster.pixels)} equal ones"),
        (raster.orientation != 1, f"turned upright, was EXIF orientation {raster.orientation}"),
    )
    return tuple(what for is_so, what in found if is_so)


def _shift(image: Raster, mask: Raster) -> float:
    """Return how far a mask lies from its image, in voxels; 0 if that cannot be said."""
    space = image.pixels.shape[1:]
    return image.geometry.shift_to(mask.geometry, space) if mask.pixels.shape[1:] == space else 0.0


def _check_places(root: Path, target: Path, files: Sequence[Path]) -> None:
    inside, outside = root.resolve(), target.resolve()
    if outside.is_relative_to(inside) or inside.is_relative_to(outside):
        raise OutputError(f"{target}: expected a folder beside the data set, got one that overlaps it; choose another")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target}: expected a new or empty folder, got one with content; choose another")
    strangers = [file for file in files if not file.resolve().is_relative_to(inside)]
    if strangers:
        raise DataError(f"{root}: expected all files in the data set's folder, got {strangers[0]}; copy it there first")
