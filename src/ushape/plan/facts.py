"""What one case says to the fingerprint: facts taken in one look, in little memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Integer, Shaped
from numpy import ndarray

from ushape.core.case import Case, Spacing, image_in_memory
from ushape.io.images import is_gray
from ushape.prep.crop import content_box
from ushape.prep.orient import find_turn

MOST_SAMPLES = 2_000_000
"""Foreground voxels of a whole data set whose intensities are kept."""
SAMPLES_PER_CASE = 10_000
FEWEST_SAMPLES = 100


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


def take_facts(case: Case, samples: int) -> CaseFacts:
    """Look at a case once.

    Args:
        samples: how many foreground voxels are kept at most; which ones depends on the case alone.

    >>> from ushape.core.case import Geometry
    >>> image, label = np.array([[[0, 7, 9], [0, 0, 0]]]), np.array([[0, 1, 1], [0, 0, 0]])
    >>> facts = take_facts(Case("a", image, Geometry.pixels(2), label), 100)
    >>> facts.content, facts.foreground.tolist(), facts.is_whole
    ((1, 2), [[7.0, 9.0]], True)
    """
    image = image_in_memory(case)
    pixels = image[:1] if is_gray(image) else image
    axes = _canonical_axes(case)
    content = content_box(pixels).sizes
    foreground = _sample_foreground(pixels, case.label, samples)
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
    )


def samples_per_case(cases: int) -> int:
    """Share `MOST_SAMPLES` among the cases.

    >>> samples_per_case(60), samples_per_case(1000)
    (10000, 2000)
    """
    return max(FEWEST_SAMPLES, min(SAMPLES_PER_CASE, MOST_SAMPLES // cases))


def _canonical_axes(case: Case) -> tuple[int, ...]:
    """Return the order in which a canonical turn would put the case's axes."""
    geometry = case.geometry
    has_anatomy = geometry.ndim == 3 and geometry.unit == "mm"
    return find_turn(geometry).axes if has_anatomy else tuple(range(geometry.ndim))


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
