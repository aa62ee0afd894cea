"""From the files of a case to the case: channels put together, the label on the image's grid or refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import AnyLabel, Labels
from ushape.io.images import image_pixels, is_gray, read_raster
from ushape.io.listing import show_size, show_space
from ushape.io.masks import SAME_GRID, as_label, check_files, join_labels
from ushape.io.pairs import Pair
from ushape.io.raster import Raster
from ushape.io.segments import place_on
from ushape.io.turns import turn_like

Regrid = Callable[[AnyLabel, Geometry, Geometry, tuple[int, ...]], AnyLabel]
"""`regrid(label, its_geometry, image_geometry, image_size)` brings a label onto another grid."""


CUT_OFF = " though both begin at one place with one spacing"


class GridMismatch(ShapeError):
    """A mask that does not lie on its image's grid.

    Attributes:
        image: the image's geometry.
        mask: the mask's.
        shift: how far apart the corners lie, in voxels; None if the sizes differ.
    """

    def __init__(self, message: str, image: Geometry, mask: Geometry, shift: float | None) -> None:
        super().__init__(message)
        self.image, self.mask, self.shift = image, mask, shift


def load_case(
    pair: Pair,
    labels: Labels | None = None,
    *,
    channels: int | None = None,
    axes: str = "",
    regrid: Regrid | None = None,
) -> Case:
    """Read a pair from disk.

    Args:
        labels: the data set's classes; None leaves the label out.
        channels: what the image is brought to, see `fit_channels`; None keeps the file's.
        axes: see `read_raster`.
        regrid: what brings a label on another grid in the world onto the image's; None refuses such labels.
    Raises:
        DataError: a file cannot be read, or holds what it must not.
        ShapeError: image and mask differ in size, and begin at one place or nothing says where they lie; or the mask
            lies beside the image.
        GridMismatch: the mask lies on another grid, and there is no `regrid`.
    """
    raster = read_pair(pair, axes=axes)
    image = raster.pixels
    if channels is not None:
        image = fit_channels(image, channels, str(pair.image))
    label = None
    if labels is not None and pair.masks:
        label = _read_label(pair, labels, raster, axes, regrid)
    return Case(pair.name, image, raster.geometry, label, str(pair.image))


def read_pair(pair: Pair, *, axes: str = "") -> Raster:
    """Read the image of a pair; files of single channels are put together.

    Raises:
        DataError: a file cannot be read, see `read_image`; or one of several holds more than a channel.
        ShapeError: the channels do not lie on one grid.
    """
    rasters = [read_raster(path, axes=axes, series=pair.series) for path in pair.images]
    images = [image_pixels(path, raster) for path, raster in zip(pair.images, rasters, strict=True)]
    if len(images) == 1:
        return replace(rasters[0], pixels=images[0], palette=None)
    first = rasters[0]
    for path, image, raster in zip(pair.images, images, rasters, strict=True):
        if not is_gray(image):
            raise DataError(f"{path}: expected one channel a file, got {len(image)}; split it, or give one file alone")
        _require_one_grid(path, first, raster)
    return Raster(np.stack([image[0] for image in images]), first.geometry, orientation=first.orientation)


def fit_channels(
    image: Shaped[ndarray, "channels *space"], channels: int, where: str
) -> Shaped[ndarray, "fitted *space"]:
    """Bring an image to a number of channels without inventing or losing anything.

    The single channel of a gray picture is repeated; channels that are all equal are reduced to one.

    Raises:
        DataError: the image has another number of channels, and they differ; or it is a volume with too few.

    >>> fit_channels(np.zeros((3, 4, 5)), 1, "cell.png").shape, fit_channels(np.zeros((1, 4, 5)), 3, "cell.png").shape
    ((1, 4, 5), (3, 4, 5))
    """
    if len(image) == channels:
        return image
    if len(image) == 1 and image.ndim == 3:
        return np.repeat(image, channels, axis=0)
    if channels == 1 and is_gray(image):
        return image[:1]
    if (channels, len(image), image.ndim) == (1, 3, 3):
        raise DataError(f"{where}: expected a gray image, got one in colours; convert it to gray, or leave it out")
    got = f"{len(image)} different ones" if len(image) > 1 else "1"
    got = f"a volume ({show_space(image.shape[1:])}) of {got}" if image.ndim == 4 else got
    raise DataError(
        f"{where}: expected {channels} channel{'s' * (channels > 1)}, got {got}; convert the image, or leave it out"
    )


def mask_axes(axes: str) -> str:
    """Return the axes of the mask that belongs to an image of `axes`: the same without channels, "" for a picture.

    >>> mask_axes("ZCYX"), mask_axes("CYX")
    ('ZYX', '')
    """
    return axes.upper().replace("C", "") if "Z" in axes.upper() else ""


def _require_one_grid(path: Path, first: Raster, other: Raster) -> None:
    size, expected = other.pixels.shape[1:], first.pixels.shape[1:]
    if size != expected or first.geometry.shift_to(other.geometry, size) > SAME_GRID:
        raise ShapeError(
            f"{path}: expected the grid of the other channels ({show_space(expected)}), got another "
            f"({show_space(size)}); resample the channels to one grid first"
        )


def _read_label(pair: Pair, labels: Labels, image: Raster, axes: str, regrid: Regrid | None) -> AnyLabel:
    check_files(pair.masks, labels)
    masks = []
    for path in pair.masks:
        raster = read_raster(path, axes=mask_axes(axes))
        if raster.has_segments:
            raster = place_on(raster, image.geometry, image.pixels.shape[1:], str(path))
        raster = turn_like(raster, image.geometry)
        mask = as_label(path, raster, labels)
        masks.append(_on_grid(pair, path, mask, raster, image, regrid))
    return join_labels(masks, labels)


def _on_grid(pair: Pair, path: Path, mask: AnyLabel, found: Raster, image: Raster, regrid: Regrid | None) -> ndarray:
    """Return a mask as it is if it lies on the image's grid, else as `regrid` brings it there."""
    size, space = found.pixels.shape[1:], image.pixels.shape[1:]
    if not (found.geometry.is_placed and image.geometry.is_placed) or len(size) != len(space):
        _require_size(pair, path, found, image)
        return mask
    if is_cut_off(space, image.geometry, size, found.geometry):
        _require_size(pair, path, found, image)
    shift = image.geometry.shift_to(found.geometry, space) if size == space else None
    if shift is not None and shift <= SAME_GRID:
        return mask
    if lies_beside(space, image.geometry, size, found.geometry):
        raise ShapeError(
            f"{path}: expected a mask that overlaps its image, got one beside it "
            f"({compare_grids(space, image.geometry, size, found.geometry)}); correct its header, or export it on the "
            "image's grid"
        )
    if regrid is not None:
        return regrid(mask, found.geometry, image.geometry, space)
    raise GridMismatch(
        f"{path}: expected the grid of its image, got another "
        f"({compare_grids(space, image.geometry, size, found.geometry)}); "
        "export it on the image's grid, or leave out --strict to have it resampled",
        image.geometry,
        found.geometry,
        shift,
    )


def is_cut_off(space: Sequence[int], grid: Geometry, size: Sequence[int], other: Geometry) -> bool:
    """Tell whether two grids are one but for their sizes: then one of them has lost voxels, such as its last slices.

    A part that was cut out on purpose says in its origin where it lies, and is a grid of its own.

    >>> grid = Geometry.from_affine(np.eye(3))
    >>> is_cut_off((4, 5), grid, (3, 5), grid), is_cut_off((4, 5), grid, (4, 5), grid)
    (True, False)
    """
    if tuple(space) == tuple(size) or grid.ndim != other.ndim or not (grid.is_placed and other.is_placed):
        return False
    return grid.shift_to(other, [max(pair) for pair in zip(space, size, strict=True)]) <= SAME_GRID


def lies_beside(space: Sequence[int], grid: Geometry, size: Sequence[int], other: Geometry) -> bool:
    """Tell whether another grid lies wholly beside a grid along one of its axes: of a mask there nothing would be left.

    >>> grid = Geometry.from_affine(np.eye(3))
    >>> far = Geometry.from_affine(np.array([[1.0, 0, 9], [0, 1, 0], [0, 0, 1]]))
    >>> lies_beside((4, 5), grid, (4, 5), far), lies_beside((10, 5), grid, (4, 5), far)
    (True, False)
    """
    corners = np.array([*itertools.product(*((-0.5, length - 0.5) for length in size))])
    places = np.linalg.solve(grid.affine, other.affine @ np.vstack([corners.T, np.ones(len(corners))]))
    ends = zip(places.min(axis=1), places.max(axis=1), space, strict=False)  # without the row of ones
    return any(high < -0.5 or low > length - 0.5 for low, high, length in ends)


def lies_elsewhere(image: Raster, mask: Raster) -> bool:
    """Tell whether a mask lies on another grid than its image, but so that it can be resampled onto that one."""
    space, size, grid, other = image.pixels.shape[1:], mask.pixels.shape[1:], image.geometry, mask.geometry
    if not (grid.is_placed and other.is_placed) or len(size) != len(space):
        return False
    if is_cut_off(space, grid, size, other) or lies_beside(space, grid, size, other):
        return False
    return size != space or grid.shift_to(other, space) > SAME_GRID


def describe_grid(space: Sequence[int], geometry: Geometry) -> str:
    """Write size and spacing of a grid.

    >>> describe_grid((4, 5), Geometry.pixels(2))
    '4x5 of 1x1 px'
    """
    spacing = "x".join(f"{size:.4g}" for size in geometry.spacing)
    return f"{show_size(space)} of {spacing} {geometry.unit}"


def compare_grids(space: Sequence[int], grid: Geometry, size: Sequence[int], other: Geometry) -> str:
    """Say how another grid differs from a grid: in size and spacing, or, where these are equal, in its place.

    >>> grid = Geometry.from_affine(np.eye(3))
    >>> compare_grids((4, 5), grid, (4, 5), Geometry.from_affine(np.array([[1.0, 0, 3], [0, 1, 4], [0, 0, 1]])))
    'begins 5 mm away, 5 voxels off'
    """
    own, its = describe_grid(space, grid), describe_grid(size, other)
    off = f", {grid.shift_to(other, space):.3g} voxels off" if tuple(space) == tuple(size) else ""
    if own != its:
        return f"{its} on {own}{off}"
    away = math.dist(grid.origin, other.origin)
    return (f"begins {away:.3g} {grid.unit} away" if away > SAME_GRID * min(grid.spacing) else "is turned") + off


def _require_size(pair: Pair, path: Path, mask: Raster, image: Raster) -> None:
    size, space = mask.pixels.shape[1:], image.pixels.shape[1:]
    if size != space:
        turned = " (one of them is turned by its EXIF tag)" if image.orientation != mask.orientation else ""
        cut = CUT_OFF if is_cut_off(space, image.geometry, size, mask.geometry) else ""
        raise ShapeError(
            f"{pair.name}: mask has size {show_size(size)} but image has {show_space(space)}{cut}{turned}; "
            f"the pair must share one grid: export {path.name} again"
        )
