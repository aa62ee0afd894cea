"""What is wrong with one image, one mask, or the two together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from ushape.core.case import Geometry
from ushape.io.cases import CUT_OFF, compare_grids, is_cut_off, lies_beside
from ushape.io.facts import ImageFacts, MaskFacts
from ushape.io.findings import Fault, Look
from ushape.io.images import split_name
from ushape.io.listing import show_size, show_space
from ushape.io.masks import SAME_GRID
from ushape.io.pairs import Pair
from ushape.io.unoriented import UNORIENTED, UNORIENTED_REMEDY, is_unoriented

_SMALL = 16
_UPRIGHT = 0.5  # degrees: rounding in headers stays far below
_EXPORT = "export it on the image's grid"
REPAIR = "ushape data check DATA --fix COPY {}"
"""What writes a repaired copy, and what that does."""
_EXPORT_OR_FIX = f"{_EXPORT}, or {REPAIR.format('resamples it')}"
NEAR_GRID = 1.0
"""Voxels: so much a mask's header may be off and still mean the image's grid."""


def judge_pair(look: Look, *, strict: bool = False) -> list[Fault]:
    """Say what is wrong with the files of a case that could be read.

    Args:
        strict: whether a mask on another grid than its image is an error.
    """
    faults = _judge_image(look.pair.image, look.image) if look.image else []
    files = [*(look.pair.images if look.image else ()), *(path for path, _ in look.masks)]
    faults += [Fault("warning", path, UNORIENTED, UNORIENTED_REMEDY) for path in files if is_unoriented(path)]
    if look.image and not look.pair.channels:
        faults += _judge_fourth_axis(look.pair.image, look.image)
    for path, mask in look.masks:
        faults += _judge_mask(path, mask, is_one_class=bool(look.pair.class_masks))
        if look.image:
            faults += _judge_together(path, look.image, mask, strict=strict)
    return [_with_image(fault, look.pair) for fault in faults]


def _with_image(fault: Fault, pair: Pair) -> Fault:
    """Name the image in an error of a mask that bears another name, as a table may pair them."""
    stems = (pair.name, split_name(pair.image)[0])
    if fault.severity == "warning" or fault.file in pair.images or fault.file.name.startswith(stems):
        return fault
    return replace(fault, what=f"{fault.what} (image {pair.image.name})")


def _judge_image(path: Path, image: ImageFacts) -> list[Fault]:
    faults = []
    if image.low == image.high:
        faults.append(Fault("warning", path, f"every pixel is {image.low:g}", "remove it if that is a failed exposure"))
    if sorted(image.space)[-2] < _SMALL:
        what = f"only {show_size(image.space)} {'pixels' if len(image.space) == 2 else 'voxels'}"
        faults.append(Fault("warning", path, what, f"below {_SMALL} pixels there is little context; use larger images"))
    faults += _judge_shear(path, image.geometry)
    if image.orientation != 1:
        what = f"turned by its EXIF orientation {image.orientation}"
        faults.append(Fault("warning", path, what, "look whether the mask was drawn on the turned image"))
    return faults


def _judge_shear(path: Path, geometry: Geometry) -> list[Fault]:
    """Find axes that are not at right angles: distances and volumes are measured as if they were."""
    cosines = np.abs(np.triu(np.asarray(geometry.direction) @ np.transpose(geometry.direction), 1))
    off = math.degrees(math.asin(min(1.0, float(cosines.max()))))
    if off < _UPRIGHT:
        return []
    what = f"its axes are not perpendicular: {off:.3g} degrees off"
    remedy = "distances in mm are measured as if they were; resample it upright if these matter (masks keep its affine)"
    return [Fault("warning", path, what, remedy)]


def _judge_fourth_axis(path: Path, facts: ImageFacts | MaskFacts) -> list[Fault]:
    if len(facts.space) != 3 or facts.stored == 1 or getattr(facts, "channels", 1) > 1:
        return []
    what = f"4D: {facts.stored} equal volumes, read as one"
    return [Fault("warning", path, what, "export it again if they should differ, else as one volume")]


def _judge_mask(path: Path, mask: MaskFacts, *, is_one_class: bool) -> list[Fault]:
    faults = []
    values = tuple(mask.counts)
    if values == (0,) and not is_one_class:
        remedy = "fine if nothing is to be seen in the image, else label it"
        faults.append(Fault("warning", path, "no foreground", remedy))
    elif len(values) == 1 and values != (0,):
        what = f"every pixel is {values[0]}"
        faults.append(Fault("warning", path, what, "check that the mask was exported as drawn"))
    faults += _judge_fourth_axis(path, mask)
    if mask.dtype.startswith("float"):
        remedy = f"fine here, as they are whole numbers; for other tools {REPAIR.format('stores integers')}"
        faults.append(Fault("warning", path, f"labels stored as {mask.dtype}", remedy))
    return faults


def _judge_together(path: Path, image: ImageFacts, mask: MaskFacts, *, strict: bool) -> list[Fault]:
    if image.digest == mask.digest and image.low < image.high:
        return [Fault("error", path, "the mask is a copy of the image", "put the true mask here")]
    is_placed = image.geometry.is_placed and mask.geometry.is_placed
    has_no_place = not is_placed or len(image.space) != len(mask.space)
    if has_no_place and image.space == mask.space:
        return []
    if has_no_place or is_cut_off(image.space, image.geometry, mask.space, mask.geometry):
        cut = "" if has_no_place else CUT_OFF
        what = f"mask has size {show_size(mask.space)} but image has {show_space(image.space)}{cut}"
        return [Fault("error", path, what, _EXPORT)]
    return _judge_grids(path, image, mask, strict=strict)


def _judge_grids(path: Path, image: ImageFacts, mask: MaskFacts, *, strict: bool) -> list[Fault]:
    """Compare two grids in the world: a label elsewhere can be resampled, but should not have to."""
    if is_same_grid(image, mask):
        return []
    grids = compare_grids(image.space, image.geometry, mask.space, mask.geometry)
    if lies_beside(image.space, image.geometry, mask.space, mask.geometry):
        remedy = "correct its header, or export it on the image's grid"
        return [Fault("error", path, f"mask lies beside its image: {grids}", remedy)]
    remedy = REPAIR.format("takes over the image's header") if has_near_grid(image, mask) else _EXPORT_OR_FIX
    what = f"mask lies on another grid than its image: {grids}"
    if strict:
        return [Fault("error", path, what, f"{remedy}, or leave out --strict to have it resampled")]
    return [Fault("warning", path, what, f"it will be resampled; {remedy}")]


def is_same_grid(image: ImageFacts, mask: MaskFacts) -> bool:
    """Tell whether a mask lies where its image does, as `load_case` sees it."""
    return image.space == mask.space and _shift(image, mask.geometry) <= SAME_GRID


def has_near_grid(image: ImageFacts, mask: MaskFacts) -> bool:
    """Tell whether a mask of the image's size lies so near that its header must mean the image's grid."""
    return image.space == mask.space and _shift(image, mask.geometry) <= NEAR_GRID


def _shift(image: ImageFacts, geometry: Geometry) -> float:
    return image.geometry.shift_to(geometry, image.space)
