"""What a caller gives as an image: a file, an array or a case."""

from __future__ import annotations

from pathlib import Path

from numpy import ndarray

from ushape.core.case import Case, Geometry
from ushape.io.cases import load_case
from ushape.io.images import split_name
from ushape.io.pairs import Pair


def as_case(image: str | Path | ndarray | Case, ndim: int) -> Case:
    """Return an image as a case; an array of `ndim` axes has one channel, one more axis in front are its channels.

    Raises:
        DataError: the file cannot be read.
    """
    if isinstance(image, Case):
        return image
    if isinstance(image, ndarray):
        pixels = image[None] if image.ndim == ndim else image
        return Case("image", pixels, Geometry.pixels(pixels.ndim - 1))
    return load_case(Pair(split_name(Path(image))[0], Path(image)))
