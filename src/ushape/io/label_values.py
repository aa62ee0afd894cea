"""Which numbers stand in the masks of a data set, and what classes they may mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from ushape.core.errors import DataError
from ushape.core.labels import AnyLabel, Ignore, Labels
from ushape.io.images import read_mask
from ushape.io.listing import name_some

MAX_CLASSES = 32
"""More label values than this are taken for numbered instances."""
_FEW_INSTANCES = 8  # from so many on, files that each count 1..k with their own k are instance maps
_VOID = 255
_BELOW_GRAY, _ABOVE_GRAY = 16, 240  # 8-bit values between these are neither black nor white
_THREADS = 2

Kind = Literal["classes", "instances", "grays", "empty"]


@dataclass(frozen=True)
class LabelFacts:
    """The label values of a data set.

    Attributes:
        pixels: label value -> number of pixels, over all files; ascending.
        by_file: file name -> its values, ascending.
    """

    pixels: Mapping[int, int]
    by_file: Mapping[str, tuple[int, ...]]

    @property
    def values(self) -> tuple[int, ...]:
        """All values that occur, ascending."""
        return tuple(self.pixels)

    @property
    def without_foreground(self) -> tuple[str, ...]:
        """The files in which nothing but 0 occurs."""
        return tuple(name for name, values in self.by_file.items() if not any(values))

    @cached_property
    def kind(self) -> Kind:
        """What the values look like.

            "empty": nothing but 0. "grays": black, white and a tail between, as smoothing or JPEG leaves them.
        "instances": more than `MAX_CLASSES` values, or files that each count 1..k to a k of their own. Else "classes".
        """
        if not any(self.values):
            return "empty"
        if self._has_grays():
            return "grays"
        return "instances" if len(self.values) > MAX_CLASSES or self._counts_up() else "classes"

    def _has_grays(self) -> bool:
        if len(self.values) <= _FEW_INSTANCES or not _ABOVE_GRAY <= max(self.values) <= 255:
            return False
        white = sum(n for value, n in self.pixels.items() if value >= _ABOVE_GRAY)
        gray = sum(n for value, n in self.pixels.items() if _BELOW_GRAY <= value < _ABOVE_GRAY)
        return 4 * white > gray  # numbered objects would have 16 numbers of 240 up there

    def _counts_up(self) -> bool:
        foregrounds = [tuple(value for value in values if value) for values in self.by_file.values()]
        tops = {len(values) for values in foregrounds}
        starts_at_one = all(values == tuple(range(1, len(values) + 1)) for values in foregrounds)
        return starts_at_one and len(tops) > 1 and max(tops) >= _FEW_INSTANCES


def describe_labels(paths: Sequence[Path], *, axes: str = "") -> LabelFacts:
    """Read all masks and count their values; two threads, one mask each in memory.

    Args:
        axes: of the masks, see `read_raster`.
    Raises:
        DataError: a mask cannot be read (see `read_mask`).
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        counts = list(pool.map(lambda path: count_values(read_mask(path, axes=axes)), paths))
    return collect_labels(dict(zip(_short_names(paths), counts, strict=True)))


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Name files for messages; with their folders where several share a name, as the masks of classes do."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [f"{path.parent.name}/{path.name}" for path in paths]


def collect_labels(counts: Mapping[str, Mapping[int, int]]) -> LabelFacts:
    """Put the values of single files (see `count_values`) together.

    >>> collect_labels({"a.png": {0: 3, 1: 1}, "b.png": {0: 4}}).pixels
    {0: 7, 1: 1}
    """
    total: dict[int, int] = {}
    for count in counts.values():
        for value, pixels in count.items():
            total[value] = total.get(value, 0) + pixels
    by_file = {name: tuple(sorted(count)) for name, count in counts.items()}
    return LabelFacts({value: total[value] for value in sorted(total)}, by_file)


def count_values(mask: Integer[ndarray, "*space"]) -> dict[int, int]:
    """Count how many pixels have each value, ascending.

    >>> count_values(np.array([[0, 255], [0, 0]], dtype=np.uint8))
    {0: 3, 255: 1}
    """
    if mask.dtype in (np.uint8, np.uint16):
        counts = np.bincount(mask.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(mask, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def count_overlapping(label: AnyLabel) -> list[int]:
    """Count all voxels, those of no class, and those of each class that may overlap others.

    >>> count_overlapping(np.array([[True, True, False], [False, True, False]]))
    [3, 1, 2, 1]
    """
    if label.dtype != bool:
        return [label.size]
    covered = int(np.count_nonzero(label.any(axis=0)))
    return [label[0].size, label[0].size - covered, *(int(np.count_nonzero(mask)) for mask in label)]


def guess_labels(
    facts: LabelFacts, *, foreground: bool = False, ignore: Ignore | None = None, where: str = "masks"
) -> Labels:
    """Propose classes for the values that were found: one per value, 0 the background even if it never occurs.

    Beside classes that are numbered 1, 2 and on without a gap, a lone 255 is ignored, as in PASCAL VOC.

    Args:
        foreground: make every value above 0 one class. It keeps its value if there is only one, else becomes 255.
        ignore: the value that is no class, "none" if each is one; None to guess that too.
        where: the folder, for messages.
    Raises:
        DataError: there is no foreground, a value is negative, or the values are no classes (see `LabelFacts.kind`).

    >>> guess_labels(collect_labels({"a.png": {0: 5, 100: 1, 200: 1}})).names
    ('background', 'class_100', 'class_200')
    """
    refuse = _REFUSALS.get(facts.kind)
    if refuse and not (foreground and facts.kind == "instances"):
        raise DataError(f"{where}: {refuse.format(count=len(facts.values), files=name_some(facts.by_file, 3))}")
    if facts.values[0] < 0:
        files = name_some((name for name, values in facts.by_file.items() if values[0] < 0), 3)
        raise DataError(
            f"{where}: expected label values from 0, got {facts.values[0]} in {files}; number the classes from 0"
        )
    found = tuple(value for value in facts.values if value)
    if ignore is None:
        is_void = not foreground and len(found) > 2 and found == (*range(1, len(found)), _VOID)
        ignore = _VOID if is_void else "none"
    classes = tuple(value for value in found if value != ignore)
    if not classes:
        raise DataError(f"{where}: expected some foreground, got only 0 and {ignore}, which is ignored; ignore another")
    if foreground:
        several = 255 if ignore != 255 else 1
        return Labels(values=(0, classes[0] if len(classes) == 1 else several), merge="foreground", ignore=ignore)
    names = ("foreground",) if len(classes) == 1 else tuple(f"class_{value}" for value in classes)
    return Labels(names=("background", *names), values=(0, *classes), ignore=ignore)


def may_be_void(labels: Labels) -> bool:
    """Tell whether 255 is a class of its own, far above the others, so that it may have meant "ignore".

    >>> may_be_void(Labels(names=("0", "17", "53", "255"), values=(0, 17, 53, 255)))
    True
    >>> may_be_void(Labels(names=("0", "127", "255"), values=(0, 127, 255)))
    False
    """
    *others, top = labels.values
    widest = max((high - low for low, high in pairwise(others)), default=top)
    return top == _VOID and top - others[-1] > 3 * widest


def common_labels(
    predicted: Sequence[Path], true: Sequence[Path], *, foreground: bool
) -> tuple[Labels, tuple[str, ...]]:
    """Guess the classes from the truth; of several, some may be in the predictions only.

    Returns:
        The classes, and warnings of values that stand where nothing else has them.
    Raises:
        DataError: the truth holds no classes; or a single foreground value is another one in the predictions.
    """
    found, known = describe_labels(predicted), describe_labels(true)
    where = str(true[0].parent)
    if known.kind == "instances" and not foreground:
        raise DataError(
            f"{where}: expected a few label values, got {len(known.values)}: this looks like an instance map, one "
            f"number per object ({name_some(known.by_file, 3)}); evaluate with --foreground to score all objects as "
            "one class, or with --instances to count those that were found"
        )
    labels = guess_labels(known, foreground=foreground, where=where)
    strange = set(found.values) - set(known.values) - {0}
    if foreground:
        return labels, ()
    if strange and sum(value > 0 for value in known.values) < 2:
        raise DataError(
            f"{_name_files(predicted, found, strange)}: expected label values {list(known.values)} as in {where}, got "
            f"also {name_some(sorted(strange))}; use --foreground to score every value above 0 as one class"
        )
    warnings = _tell_rare(true, known, labels)
    if strange:
        each = f"{_name_files(predicted, found, strange)}: expected label values {list(known.values)} as in {where}"
        warnings += (f"{each}, got also {name_some(sorted(strange))}; each is scored as a class",)
        both = {str(predicted[0].parent): found.pixels, where: known.pixels}
        labels = guess_labels(collect_labels(both), where=str(predicted[0].parent))
    return labels, warnings


def _name_files(paths: Sequence[Path], facts: LabelFacts, values: set[int]) -> str:
    files = zip(paths, facts.by_file.values(), strict=True)
    return name_some((path for path, found in files if values & set(found)), 3)


def _tell_rare(paths: Sequence[Path], facts: LabelFacts, labels: Labels) -> tuple[str, ...]:
    """Warn of values that only one of three files or more has: they may be slips of the pen."""
    if len(paths) < 3:
        return ()
    counts = Counter(value for values in facts.by_file.values() for value in values)
    rare = {value for value, files in counts.items() if files == 1 and value not in (0, labels.ignore)}
    found = {path: sorted(rare & set(values)) for path, values in zip(paths, facts.by_file.values(), strict=True)}
    return tuple(
        f"{path}: expected label values that other true masks have, got also {name_some(values)}; each is scored as "
        "a class: correct the mask if it is a slip"
        for path, values in found.items()
        if values
    )


_REFUSALS: dict[str, str] = {
    "empty": "expected some foreground, got only 0 in every file ({files}); "
    "check that the masks were exported with their labels",
    "grays": "expected a few label values, got {count} grays between black and white (smoothed edges or former "
    "JPEG; {files}); threshold the masks at 128 and save them as PNG with 0 and 255",
    "instances": "expected a few label values, got {count}: this looks like an instance map, one number per "
    "object ({files}); use ushape train --foreground to make all of them one class",
}
