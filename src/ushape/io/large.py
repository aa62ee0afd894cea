"""Images larger than memory: what can be cut without being read as a whole, and where results go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
from numpy import ndarray

from ushape.core.case import Case
from ushape.io.images import split_name
from ushape.io.nifti import read_nifti
from ushape.io.pairs import Pair
from ushape.io.tiled import open_tiff

LARGE = 2**30
"""Bytes of an image in float32 from which on it is better cut from its file than held in memory."""


@contextmanager
def open_large(pair: Pair) -> Iterator[Case | None]:
    """Open the image of a pair for cutting, if it is large and its format allows it; else yield None.

    TIFF is cut tile by tile or strip by strip, uncompressed NIfTI is mapped.
    """
    ending = split_name(pair.image)[1]
    if len(pair.images) == 1 and ending in (".tif", ".tiff", ".ome.tif", ".ome.tiff") and pair.image.is_file():
        opened = open_tiff(pair.image)
        if opened is not None:
            with closing(opened):
                yield _large(Case(pair.name, opened, opened.geometry, source=str(pair.image)))
            return
    if len(pair.images) == 1 and ending == ".nii" and pair.image.is_file() and pair.image.stat().st_size > LARGE // 4:
        raster = read_nifti(pair.image)
        is_mapped = isinstance(raster.pixels, ndarray) and _is_mapped(raster.pixels)
        yield _large(Case(pair.name, raster.pixels, raster.geometry, source=str(pair.image))) if is_mapped else None
        return
    yield None


def _large(case: Case) -> Case | None:
    return case if 4 * math.prod(case.image.shape) >= LARGE else None


def _is_mapped(array: ndarray | None) -> bool:
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
