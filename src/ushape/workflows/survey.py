"""From a folder to a data set that is understood."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.events import Listener, Message
from ushape.core.labels import Labels
from ushape.io.cases import mask_axes
from ushape.io.facts import describe_pair
from ushape.io.label_values import LabelFacts, describe_labels, guess_labels
from ushape.io.layouts import DatasetFiles, find_dataset, show_size
from ushape.plan.fingerprint import Fingerprint, take_fingerprint

READERS = 2
"""Threads that read; each holds one image."""


@dataclass(frozen=True)
class DataSet:
    """A data set as it was found."""

    folder: Path
    found: DatasetFiles
    labels: Labels
    fingerprint: Fingerprint


def survey(
    folder: Path, listener: Listener, *, labels: Labels | None = None, foreground: bool = False, axes: str = ""
) -> DataSet:
    """Find the pairs of a data set, read every file once, and say what is there.

    Args:
        labels: the classes, if a recipe names them; else the data set may, else they are guessed from the masks.
        foreground: whether every label value above 0 is taken as one class.
        axes: of the files' arrays, see `io.images.read_raster`.
    Raises:
        DataError: the folder holds no data set, or one that cannot be trained on.
    """
    found = find_dataset(folder)
    axes = axes or found.axes
    values = describe_labels([mask for pair in found.pairs for mask in pair.masks], axes=mask_axes(axes))
    if labels is None and found.labels is not None and not foreground:
        labels = found.labels
    labels = labels or guess_labels(values, foreground=foreground)
    if labels.overlap != "none":
        raise DataError(f"{folder}: classes that overlap cannot be trained on yet; merge them, or train one at a time")
    with ThreadPoolExecutor(READERS) as pool:
        facts = pool.map(lambda pair: describe_pair(pair, axes=axes), found.pairs)
        images = {pair.image.name: fact for pair, fact in zip(found.pairs, facts, strict=True)}
    fingerprint = take_fingerprint(images, labels, values.pixels)
    _tell(folder, values, labels, fingerprint, listener)
    return DataSet(folder, replace(found, axes=axes), labels, fingerprint)


def _tell(folder: Path, values: LabelFacts, labels: Labels, facts: Fingerprint, listener: Listener) -> None:
    sizes = {show_size(facts.min_size), show_size(facts.max_size)}
    size = " to ".join(sorted(sizes)) if len(sizes) > 1 else f"all {sizes.pop()}"
    channels = f"{facts.channels} channel{'s' if facts.channels > 1 else ''}"
    spacing = "" if facts.unit == "px" else f" of {'x'.join(f'{step:g}' for step in facts.spacing)} mm"
    voxels = f"{size} {'pixels' if facts.ndim == 2 else 'voxels'}{spacing}"
    listener(Message(f"{folder}: {facts.cases} images with masks, {voxels}, {channels}, {facts.dtype}"))
    shares = ", ".join(f"{n} {s:.1%}" for n, s in zip(labels.names, facts.class_shares, strict=True))
    if labels.merge == "foreground":
        listener(Message(f"labels: {len(values.values)} values, trained as foreground against background; {shares}"))
    else:
        listener(Message(f"labels: values {', '.join(map(str, labels.values))}; {shares}"))
    if labels.merge == "none" and len(labels.values) > 2 and labels.values == tuple(range(labels.count)):
        listener(Message("if these values count objects rather than name classes, train with --foreground"))
    empty = len(values.without_foreground)
    if empty:
        listener(Message(f"{empty} of {facts.cases} masks hold no foreground; they train as background", "warning"))
