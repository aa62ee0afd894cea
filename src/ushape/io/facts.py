"""What can be said of one file after one look at its pixels; planning and checking are built on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.io.cases import read_pair
from ushape.io.images import is_gray, mask_pixels, read_raster, split_name
from ushape.io.label_values import count_values
from ushape.io.listing import name_some
from ushape.io.pairs import Pair
from ushape.io.segments import place_on
from ushape.io.turns import turn_like


@dataclass(frozen=True)
class ImageFacts:
    """One image.

    Attributes:
        space: its size without channels, in array axis order.
        channels: how many different ones it has: 1 for an RGB file that is gray.
        dtype: the stored type, as numpy names it.
        low: smallest pixel.
        high: largest pixel.
        digest: a hash of the pixels of those channels; equal for equal images under other names or formats.
        geometry: where its pixels lie.
        orientation: the EXIF orientation that was undone; 1 if none.
        stored: how many channels the file has, equal ones counted.
    """

    space: tuple[int, ...]
    channels: int
    dtype: str
    low: float
    high: float
    digest: str
    geometry: Geometry
    orientation: int = 1
    stored: int = 1


@dataclass(frozen=True)
class MaskFacts:
    """One mask: its size, its values with their numbers of pixels, and a hash as in `ImageFacts`.

    Attributes:
        geometry: where its pixels lie.
        dtype: the stored type, as numpy names it.
        stored: how many channels the file has, all equal.
    """

    space: tuple[int, ...]
    counts: Mapping[int, int]
    digest: str
    geometry: Geometry
    dtype: str
    stored: int = 1


def describe_image(path: Path, *, axes: str = "") -> ImageFacts:
    """Read an image and describe it.

    Raises:
        DataError: it cannot be read, see `read_image`.
    """
    return describe_pair(Pair(split_name(path)[0], path), axes=axes)


def describe_pair(pair: Pair, *, axes: str = "") -> ImageFacts:
    """Read the image of a pair, all its channels, and describe it.

    Raises:
        DataError: it cannot be read, see `read_pair`.
    """
    raster = read_pair(pair, axes=axes)
    pixels = raster.pixels[:1] if is_gray(raster.pixels) else raster.pixels
    return ImageFacts(
        space=pixels.shape[1:],
        channels=len(pixels),
        dtype=str(pixels.dtype),
        low=float(pixels.min()),
        high=float(pixels.max()),
        digest=digest(pixels),
        geometry=raster.geometry,
        orientation=raster.orientation,
        stored=len(raster.pixels),
    )


def describe_mask(path: Path, *, axes: str = "", like: ImageFacts | None = None) -> MaskFacts:
    """Read a mask and describe it.

    Args:
        like: its image, as whose axes the mask's are turned, and on whose grid a DICOM-SEG, whose empty slices are left
            out, is laid.
    Raises:
        DataError: it cannot be read, see `read_mask`; or a DICOM-SEG was drawn on other slices.
    """
    raster = read_raster(path, axes=axes)
    if raster.has_segments and like is not None:
        raster = place_on(raster, like.geometry, like.space, str(path))
    if like is not None:
        raster = turn_like(raster, like.geometry)
    values = mask_pixels(path, raster)
    dtype = str(raster.pixels.dtype)
    counts, stored = count_values(values), len(raster.pixels)
    return MaskFacts(values.shape, counts, digest(values[None]), raster.geometry, dtype, stored)


@runtime_checkable
class HasChannels(Protocol):
    """What facts must hold for `common_channels`."""

    @property
    def space(self) -> tuple[int, ...]:
        """Size without channels."""
        ...

    @property
    def channels(self) -> int:
        """How many different ones."""
        ...


def common_channels(facts: Mapping[str, HasChannels]) -> int:
    """Choose the number of channels that `fit_channels` can bring all images to: 1, or that of all that are not gray.

    Args:
        facts: by file name, for the message.
    Raises:
        DataError: two images differ in their number of channels, and neither is a gray picture.

    >>> grid = Geometry.pixels(2)
    >>> gray = ImageFacts((8, 8), 1, "uint8", 0.0, 9.0, "a", grid)
    >>> common_channels({"a.png": gray, "b.png": ImageFacts((8, 8), 3, "uint8", 0.0, 9.0, "b", grid)})
    3
    """
    by_count: dict[int, list[str]] = {}
    for name, fact in facts.items():
        by_count.setdefault(fact.channels, []).append(name)
    is_picture = all(len(fact.space) == 2 for fact in facts.values())
    fixed = sorted(count for count in by_count if count > 1 or not is_picture)
    if len(fixed) > 1:
        groups = " and ".join(f"{count} ({name_some(by_count[count], 3)})" for count in fixed)
        raise DataError(f"images: expected one number of channels, got {groups}; convert them, or train them apart")
    return fixed[0] if fixed else 1


def digest(pixels: Shaped[ndarray, "channels *space"]) -> str:
    """Hash pixels together with their shape and type."""
    head = f"{pixels.shape} {pixels.dtype.name}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(pixels).data, digest_size=16).hexdigest()


def same_digests(digests: Mapping[str, str]) -> Sequence[Sequence[str]]:
    """Group the names that share a digest; a name alone is left out.

    >>> same_digests({"a": "1", "b": "2", "c": "1"})
    [['a', 'c']]
    """
    groups: dict[str, list[str]] = {}
    for name, value in digests.items():
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
