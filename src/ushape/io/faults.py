"""What is wrong with a data set: every finding names the file and what to do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.cases import mask_axes
from ushape.io.dataset_json import DATASET_JSON
from ushape.io.facts import ImageFacts, MaskFacts, describe_mask, describe_pair
from ushape.io.findings import Fault, Look, fault_of
from ushape.io.images import split_name
from ushape.io.layouts import scan_dataset
from ushape.io.listing import natural_key, no_images
from ushape.io.pair_faults import judge_pair
from ushape.io.pairs import Matching, Pair
from ushape.io.set_faults import DATASET_CHECKS, check_labels

__all__ = ["Fault", "check_dataset", "look_at"]

_THREADS = 2


def check_dataset(folder: Path, *, axes: str = "", strict: bool = False) -> list[Fault]:
    """Read every file of a data set and list what is wrong, errors first, then by file name.

    Two threads read, so that at most two pairs are in memory.

    Args:
        axes: see `read_raster`.
        strict: whether a mask on another grid than its image is an error.
    """
    try:
        found = scan_dataset(folder)
    except DataError as error:
        return [fault_of(error, folder)]
    pairs = (*found.pairs, *(Pair(split_name(path)[0], path) for path in found.matching.missing))
    with ThreadPoolExecutor(_THREADS) as pool:
        looks = list(pool.map(lambda pair: look_at(pair, axes=axes or found.axes), pairs))
    faults = _find_strays(found.matching, folder)
    faults += [fault for look in looks for fault in (*look.faults, *judge_pair(look, strict=strict))]
    faults += [fault for check in DATASET_CHECKS for fault in check(looks)]
    faults += check_labels(looks, found.labels, folder / DATASET_JSON)
    if found.remark:
        faults.append(replace(fault_of(DataError(found.remark), folder), severity="warning"))
    return sorted(faults, key=lambda fault: (fault.severity != "error", natural_key(fault.file)))


def look_at(pair: Pair, *, axes: str = "") -> Look:
    """Read a pair; what cannot be read becomes a fault."""
    faults: list[Fault] = []
    masks: list[tuple[Path, MaskFacts]] = []
    image: ImageFacts | None = None
    try:
        image = describe_pair(pair, axes=axes)
    except DataError as error:
        faults.append(fault_of(error, pair.image))
    for path in pair.masks:
        try:
            masks.append((path, describe_mask(path, axes=mask_axes(axes), like=image)))
        except DataError as error:
            faults.append(fault_of(error, path))
    return Look(pair, image, tuple(masks), tuple(faults))


def _find_strays(matching: Matching, folder: Path) -> list[Fault]:
    faults = [
        Fault("error", path, f"{what} ({matching.rows[path]})" if path in matching.rows else what, remedy)
        for paths, what, remedy in (
            (matching.missing, "no mask for this image", "add it, or remove the image"),
            (matching.surplus, "no image for this mask", "add it, or remove the mask"),
            (matching.doubled, "shares its stem with another file", "rename or remove one of them"),
            (matching.incomplete, "fewer channels than the other images have", "add the missing files"),
        )
        for path in paths
    ]
    faults += [Fault("warning", path, "not read, unknown kind", "convert or remove it") for path in matching.unknown]
    if not matching.pairs and not matching.missing:
        faults.append(fault_of(no_images(folder, matching.unknown), folder))
    return faults
