"""What is wrong between the files of a data set: channels, types, spacings, copies, and label values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.facts import MaskFacts, common_channels, same_digests
from ushape.io.findings import Fault, Look, fault_of
from ushape.io.label_values import LabelFacts, collect_labels, guess_labels, may_be_void
from ushape.io.listing import name_some

_UNITS = "check the unit in its header"
_FAR_SPACING = 4.0  # times the median: less is usual between scanners, more often a wrong unit


def check_labels(looks: Sequence[Look], labels: Labels | None, table: Path) -> list[Fault]:
    """Judge the values in all masks: by the classes that the data set names, else by what they look like.

    Args:
        table: the file that names the classes.
    """
    masks = {path.name: (path, mask) for look in looks for path, mask in look.masks}
    if not masks:
        return []
    folder = next(path.parent for path, _ in masks.values())
    facts = collect_labels({name: mask.counts for name, (_, mask) in masks.items()})
    if labels:
        in_files = labels.overlap == "files"
        held = _held_in_files(looks, labels) if in_files else _held_values(facts, labels)
        is_whole = not any(look.faults for look in looks)
        absent = _check_absent(folder, held, labels) if is_whole else []
        return absent if in_files else _check_named_values(table, masks, labels) + absent
    try:
        guess = guess_labels(facts)
    except DataError as error:
        fault = fault_of(error, Path("masks"), file=folder)
        return [replace(fault, severity="warning") if facts.kind == "instances" else fault]
    return _check_mixed_codes(folder, facts) or _check_void(folder, guess) + _check_rare_values(folder, facts)


def _check_channels(looks: Sequence[Look]) -> list[Fault]:
    images = {look.pair.image.name: look.image for look in looks if look.image}
    if not images:
        return []
    folder = looks[0].pair.image.parent
    try:
        channels = common_channels(images)
    except DataError as error:
        return [fault_of(error, Path("images"), file=folder)]
    gray = [name for name, image in images.items() if image.channels < channels]
    coloured = [name for name, image in images.items() if image.channels == channels]
    if not gray:
        return []
    fewer = gray if len(gray) < len(coloured) else coloured
    what = f"{len(gray)} gray images and {len(coloured)} of {channels} channels ({name_some(fewer)})"
    return [Fault("warning", folder, what, "fine if both kinds are meant: gray is repeated; else remove one kind")]


def _check_axes(looks: Sequence[Look]) -> list[Fault]:
    kinds = Counter(len(look.image.space) for look in looks if look.image)
    if len(kinds) < 2:
        return []
    fewer = min(kinds, key=lambda ndim: kinds[ndim])
    names = name_some(look.pair.image.name for look in looks if look.image and len(look.image.space) == fewer)
    what = f"pictures beside volumes ({fewer}D: {names})"
    return [Fault("error", looks[0].pair.image.parent, what, "train on each kind by itself")]


def _check_types(looks: Sequence[Look]) -> list[Fault]:
    types = Counter(look.image.dtype for look in looks if look.image)
    usual = max(types, key=lambda dtype: types[dtype], default="")
    faults = []
    for dtype, count in types.items():
        if dtype != usual:
            names = [look.pair.image.name for look in looks if look.image and look.image.dtype == dtype]
            what = f"{count} of {types.total()} images stored as {dtype} ({name_some(names, 3)}), {usual} is usual here"
            remedy = f"fine if their values mean the same; if they were converted by mistake, export them as {usual}"
            faults.append(Fault("warning", looks[0].pair.image.parent, what, remedy))
    return faults


def _check_spacings(looks: Sequence[Look]) -> list[Fault]:
    """Find images whose voxels are so much larger or smaller than usual that a unit may be wrong."""
    placed = [look for look in looks if look.image and look.image.geometry.unit == "mm" and len(look.image.space) == 3]
    if len(placed) < 3:
        return []
    spacings = np.array([look.image.geometry.spacing for look in placed if look.image])
    usual = np.median(spacings, axis=0)
    factors = np.abs(np.log(spacings / usual)).max(axis=1)
    return [
        Fault("warning", look.pair.image, f"voxels of {_show(spacing)} mm, the median here is {_show(usual)}", _UNITS)
        for look, spacing, factor in zip(placed, spacings, factors, strict=True)
        if factor > np.log(_FAR_SPACING)
    ]


def _show(spacing: np.ndarray) -> str:
    return "x".join(f"{size:.4g}" for size in spacing)


def _check_count(looks: Sequence[Look]) -> list[Fault]:
    if len(looks) != 1:
        return []
    what = "a single image: it trains, but nothing is left to validate on"
    return [Fault("warning", looks[0].pair.image, what, "add a second one to see how good the model is")]


def _check_duplicates(looks: Sequence[Look]) -> list[Fault]:
    paths = {
        str(look.pair.image): look.image.digest for look in looks if look.image and look.image.low < look.image.high
    }
    remedy = "keep one, or training and validation may share it"
    return [
        Fault("warning", Path(name), f"the same pixels as {Path(first).name}", remedy)
        for first, *others in same_digests(paths)
        for name in others
    ]


def _check_named_values(table: Path, masks: Mapping[str, tuple[Path, MaskFacts]], labels: Labels) -> list[Fault]:
    """Compare the values with the classes that the data set names: what several masks hold, the table lacks."""
    known = {*labels.values, labels.ignore, *(value for region in labels.regions for value in region)}
    strangers = {path: sorted(set(mask.counts) - known) for path, mask in masks.values()}
    holders = Counter(value for values in strangers.values() for value in values)
    common = [value for value in sorted(holders) if holders[value] > 1]
    faults = []
    if common:
        files = [path.name for path, values in strangers.items() if set(values) & set(common)]
        what = f"no class has label values {name_some(common)}, which {len(files)} masks hold ({name_some(files, 3)})"
        faults.append(Fault("error", table, what, "name them under labels, or correct the masks"))
    for path, values in strangers.items():
        alone = [value for value in values if value not in common]
        if alone:
            what = f"label values {name_some(alone)} belong to no class"
            faults.append(Fault("error", path, what, f"correct the mask, or name the values in {table.name}"))
    return faults


def _held_values(facts: LabelFacts, labels: Labels) -> set[str]:
    """Return the classes of which some mask has a value."""
    parts = labels.regions or [(value,) for value in labels.values[1:]]
    return {name for name, values in zip(labels.names[1:], parts, strict=True) if set(values) & set(facts.values)}


def _held_in_files(looks: Sequence[Look], labels: Labels) -> set[str]:
    """Return the classes whose own files are not all empty."""
    return {
        labels.names[1 + look.pair.masks.index(path)] for look in looks for path, mask in look.masks if any(mask.counts)
    }


def _check_absent(folder: Path, held: set[str], labels: Labels) -> list[Fault]:
    """Find classes that no mask holds, which training refuses."""
    absent = [name for name in labels.names[1:] if name not in held]
    if not absent:
        return []
    what = "no mask holds any foreground" if not held else f"no mask holds {name_some(absent)}"
    remedy = "check that the masks were exported with their labels, or take the class out of the data set's table"
    return [Fault("error", folder, what, remedy)]


def _check_mixed_codes(folder: Path, facts: LabelFacts) -> list[Fault]:
    """Find data sets in which some masks say 1 and others 255 for the same thing."""
    ones = [name for name, values in facts.by_file.items() if values and values[-1] == 1]
    if (
        set(facts.values) != {0, 1, 255}
        or not ones
        or any(set(values) >= {1, 255} for values in facts.by_file.values())
    ):
        return []
    what = f"the foreground is 1 in {name_some(ones)} but 255 elsewhere"
    return [Fault("warning", folder, what, "if both mean the same, use ushape train --foreground")]


def _check_void(folder: Path, guess: Labels) -> list[Fault]:
    """Find a lone 255, which in other tools' masks is no class."""
    remedy = "if it means 'ignore', train with --set data.labels.ignore=255"
    what = "255, far above the other label values, is trained as a class of its own"
    return [Fault("warning", folder, what, remedy)] if may_be_void(guess) else []


def _check_rare_values(folder: Path, facts: LabelFacts) -> list[Fault]:
    holders = Counter(value for values in facts.by_file.values() for value in values if value)
    rare = [value for value, count in holders.items() if count == 1]
    if len(facts.by_file) < 3:
        return []
    return [
        Fault("warning", folder / name, f"the only mask with value {value}", "correct it, or label more of that class")
        for name, values in facts.by_file.items()
        for value in values
        if value in rare
    ]


DATASET_CHECKS: tuple[Callable[[Sequence[Look]], list[Fault]], ...] = (
    _check_axes,
    _check_count,
    _check_channels,
    _check_types,
    _check_spacings,
    _check_duplicates,
)
