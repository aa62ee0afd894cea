"""What one case says to the fingerprint: facts taken in one look, in little memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Integer, Shaped
from numpy import ndarray

from ushape.core.case import Case, Spacing, image_in_memory
from ushape.io.images import is_gray
from ushape.prep.crop import content_box
from ushape.prep.orient import Reoriented, find_turn

MOST_SAMPLES = 2_000_000
"""Foreground voxels of a whole data set whose intensities are kept."""
SAMPLES_PER_CASE = 10_000
FEWEST_SAMPLES = 100
MOST_POINTS = 64
"""Along each axis, in which the middle of a class is looked for."""


@dataclass(frozen=True, eq=False)
class CaseFacts:
    """One case. Per-axis facts of volumes in mm follow (superior, anterior, right), those of others the array's axes.

    Attributes:
        space: its size without channels.
        channels: how many different ones it has: 1 for an RGB file that is gray.
        dtype: the stored type, as numpy names it.
        low: smallest pixel.
        high: largest pixel.
        spacing: per axis, in `unit`.
        content: size of the smallest box around all voxels that are not 0 in some channel.
        foreground: intensities of a sample of the foreground's voxels.
        is_whole: whether these are whole numbers.
        centres: where the middle of each foreground class lies, in voxels; only their order means something. NaN for
            a class that the case lacks.
    """

    space: tuple[int, ...]
    channels: int
    dtype: str
    low: float
    high: float
    spacing: Spacing
    unit: str
    content: tuple[int, ...]
    foreground: Float32[ndarray, "channels n"]
    is_whole: bool
    centres: Float64[ndarray, "classes axes"]


def take_facts(case: Case, samples: int, classes: int) -> CaseFacts:
    """Look at a case once.

    Args:
        classes: how many foreground classes the data set has.
        samples: how many foreground voxels are kept at most; which ones depends on the case alone.

    >>> from ushape.core.case import Geometry
    >>> image, label = np.array([[[0, 7, 9], [0, 0, 0]]]), np.array([[0, 1, 1], [0, 0, 0]])
    >>> facts = take_facts(Case("a", image, Geometry.pixels(2), label), 100, classes=1)
    >>> facts.content, facts.foreground.tolist(), facts.is_whole, facts.centres.tolist()
    ((1, 2), [[7.0, 9.0]], True, [[0.0, 1.5]])
    """
    image = image_in_memory(case)
    pixels = image[:1] if is_gray(image) else image
    turn = _canonical_turn(case)
    axes = turn.axes
    content = content_box(pixels).sizes
    foreground = _sample_foreground(pixels, case.label, samples)
    nowhere = np.full((classes, len(axes)), np.nan)
    centres = nowhere if case.label is None else find_centres(case.label, classes)
    return CaseFacts(
        space=tuple(case.space[axis] for axis in axes),
        channels=len(pixels),
        dtype=str(pixels.dtype),
        low=float(pixels.min()),
        high=float(pixels.max()),
        spacing=tuple(case.geometry.spacing[axis] for axis in axes),
        unit=case.geometry.unit,
        content=tuple(content[axis] for axis in axes),
        foreground=foreground,
        is_whole=bool((foreground == np.round(foreground)).all()),
        centres=centres[:, axes] * np.where(turn.flips, -1, 1),
    )


def samples_per_case(cases: int) -> int:
    """Share `MOST_SAMPLES` among the cases.

    >>> samples_per_case(60), samples_per_case(1000)
    (10000, 2000)
    """
    return max(FEWEST_SAMPLES, min(SAMPLES_PER_CASE, MOST_SAMPLES // cases))


def find_centres(label: Integer[ndarray, "*space"], classes: int) -> Float64[ndarray, "classes axes"]:
    """Find the middle of each class 1, 2, ... along the array's axes, on a coarse grid; NaN for one that is missing."""
    strides = [max(1, length // MOST_POINTS) for length in label.shape]
    coarse = label[tuple(slice(stride // 2, None, stride) for stride in strides)]
    centres = np.full((classes, label.ndim), np.nan)
    for number in range(classes):
        places = np.nonzero(coarse == number + 1)
        if places[0].size:
            centres[number] = [place.mean() * stride for place, stride in zip(places, strides, strict=True)]
    return centres


def _canonical_turn(case: Case) -> Reoriented:
    """Return the swaps and flips of the case's axes that a canonical turn would make."""
    geometry = case.geometry
    if geometry.ndim == 3 and geometry.is_placed:
        return find_turn(geometry)
    return Reoriented(tuple(range(geometry.ndim)), (False,) * geometry.ndim)


def _sample_foreground(
    image: Shaped[ndarray, "channels *space"], label: Integer[ndarray, "*space"] | None, samples: int
) -> Float32[ndarray, "channels n"]:
    """Draw foreground voxels, each as likely as any other; reads plane by plane."""
    if label is None:
        return np.empty((len(image), 0), dtype=np.float32)
    counts = np.array([np.count_nonzero(plane > 0) for plane in label])
    total, ends = int(counts.sum()), np.cumsum(counts)
    chosen = np.arange(total)
    if total > samples:
        chosen = np.sort(np.random.default_rng(0).choice(total, samples, replace=False))
    found = [np.empty((len(image), 0), dtype=np.float32)]
    for row in np.flatnonzero(counts):
        first = ends[row] - counts[row]
        ranks = chosen[(chosen >= first) & (chosen < ends[row])] - first
        places = np.flatnonzero(label[row] > 0)[ranks]
        found.append(image[:, row].reshape(len(image), -1)[:, places].astype(np.float32))
    return np.concatenate(found, axis=1)
