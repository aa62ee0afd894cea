"""From a folder to a data set that is understood."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ushape.core.case import Geometry
from ushape.core.events import Listener, Message
from ushape.core.labels import AnyLabel, Labels, flatten
from ushape.io.cases import load_case, mask_axes
from ushape.io.label_values import count_overlapping, describe_labels
from ushape.io.layouts import DatasetFiles, Pair, find_dataset
from ushape.plan.facts import CaseFacts, samples_per_case, take_facts
from ushape.plan.fingerprint import Fingerprint, take_fingerprint
from ushape.prep.label_grid import resample_label_onto
from ushape.workflows.guess import UNSAID, Guess
from ushape.workflows.notices import warn_unoriented
from ushape.workflows.tell import judge_absent, tell_data, tell_doubts

READERS = 2
"""Threads that read; each holds one case."""


@dataclass(frozen=True)
class DataSet:
    """A data set as it was found."""

    folder: Path
    found: DatasetFiles
    labels: Labels
    fingerprint: Fingerprint


def survey(
    folder: Path,
    listener: Listener,
    *,
    labels: Labels | None = None,
    guess: Guess = UNSAID,
    axes: str = "",
    strict: bool = False,
) -> DataSet:
    """Find the pairs of a data set, read every file once, and say what is there; cases kept for a test are left alone.

    Args:
        labels: the classes, if a recipe names them; else the data set may, else they are guessed from the masks.
        guess: what a user says of classes that no recipe names.
        axes: of the files' arrays, see `io.images.read_raster`.
        strict: refuse labels on another grid than their image's.
    Raises:
        DataError: the folder holds no data set, or one that cannot be trained on.
    """
    found = find_dataset(folder).without_tests()
    axes = axes or found.axes
    warn_unoriented([path for pair in found.pairs for path in (*pair.images, *pair.masks)], listener)
    values = describe_labels([mask for pair in found.pairs for mask in pair.masks], axes=mask_axes(axes))
    named = labels is not None
    is_guessed = not named and (found.labels is None or guess.foreground)
    labels = labels or guess.labels(found.labels, values)
    cases, shares = _look(replace(found, axes=axes), labels, listener, strict=strict)
    fingerprint = take_fingerprint(cases, labels, values.pixels, found.channel_names)
    if labels.overlap != "none":
        fingerprint = fingerprint.model_copy(update={"class_shares": shares})
    judge_absent(folder, labels, fingerprint.class_shares, listener, named=named)
    tell_data(folder, values, labels, fingerprint, listener)
    if is_guessed and guess.ignore is None:
        tell_doubts(labels, listener)
    if found.remark:
        listener(Message(found.remark, "warning"))
    return DataSet(folder, replace(found, axes=axes), labels, fingerprint)


def _look(
    found: DatasetFiles, labels: Labels, listener: Listener, *, strict: bool
) -> tuple[dict[str, CaseFacts], tuple[float, ...]]:
    """Take the facts of every case, by file name, and the shares of classes that may overlap.

    A label on another grid is brought onto its image's with a warning, or refused.
    """
    samples = samples_per_case(len(found.pairs))

    def look(pair: Pair) -> tuple[CaseFacts, list[int]]:
        def regrid(label: AnyLabel, own: Geometry, image: Geometry, shape: tuple[int, ...]) -> AnyLabel:
            listener(Message(f"{pair.name}: its label lies on another grid; resampled onto the image's", "warning"))
            return resample_label_onto(label, own, image, shape)

        case = load_case(pair, labels, axes=found.axes, regrid=None if strict else regrid)
        label = np.zeros(case.space, np.int16) if case.label is None else case.label
        return take_facts(replace(case, label=flatten(label)), samples, labels.count - 1), count_overlapping(label)

    with ThreadPoolExecutor(READERS) as pool:
        facts, voxels = zip(*pool.map(look, found.pairs), strict=True)
    sums = np.sum(voxels, axis=0)
    shares = tuple((sums[1:] / sums[0]).tolist())
    return {pair.image.name: fact for pair, fact in zip(found.pairs, facts, strict=True)}, shares
