"""Labels on another grid: resampled so that no value appears that was not there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import ShapeError
from ushape.prep.geometry import index_map, last_axes
from ushape.prep.slabs import Axes, output_space, resample_block, slab_rows

TIE = 1e-5
"""By how much a class must win over those before it: rounding never decides."""
HALF = 1e-6
"""Added to half a voxel: rounding never decides which of two label voxels is the nearer."""


def resample_label(label: Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"], axes: Axes) -> ndarray:
    """Resample a label: each class by itself as a mask, then at each voxel the class with the largest share.

    Ties go to the lowest class, and to any class before ignored voxels. Each class of a multilabel is there where its
    share is more than half. Memory: the output and a slab of one class.
    """
    if label.dtype == bool:
        return _resample_masks(label, axes)
    out = np.empty(output_space(label.shape, axes), dtype=label.dtype)
    for rows, inputs, weights in slab_rows((1, *label.shape), axes):
        out[rows] = _largest_share(np.asarray(label[inputs]), weights)
    return out


def resample_label_onto(
    label: Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"],
    label_geometry: Geometry,
    image_geometry: Geometry,
    shape: tuple[int, ...],
    *,
    outside: int = 0,
) -> ndarray:
    """Take a label that lies on any grid to the grid of an image: each voxel gets the nearest label voxel's value.

    The grids may differ in spacing, size, orientation and obliqueness.

    Args:
        shape: size of the image without its channel axis.
        outside: value where the label does not reach.
    Raises:
        ShapeError: the grids differ in their number of axes or in their unit.
        DataError: the label's axes do not span the space.

    >>> fine = Geometry((0.5, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)))
    >>> coarse = Geometry((1.0, 1.0), "mm", (0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)))
    >>> resample_label_onto(np.array([[1], [2], [3]]), fine, coarse, (2, 2)).tolist()
    [[1, 0], [3, 0]]
    """
    if (label_geometry.ndim, label_geometry.unit) != (image_geometry.ndim, image_geometry.unit):
        raise ShapeError(
            f"label: expected a grid of {image_geometry.ndim} axes in {image_geometry.unit} as the image's, got "
            f"{label_geometry.ndim} in {label_geometry.unit}; give a label with the image's geometry"
        )
    matrix, offset = index_map(label_geometry, image_geometry)
    space = label.shape[label.ndim - len(shape) :]
    out = np.full((*label.shape[: label.ndim - len(shape)], *shape), outside, dtype=label.dtype)
    for row in range(shape[0]):
        places = [_places(matrix[:, axis], offset[axis], row, shape[1:]) for axis in range(len(shape))]
        inside = np.logical_and.reduce([(at >= 0) & (at < size) for at, size in zip(places, space, strict=True)])
        plane = out[last_axes(row, *[slice(None)] * (len(shape) - 1))]
        plane[..., inside] = label[last_axes(*(at[inside] for at in places))]
    return out


def _places(factors: ndarray, offset: float, row: int, plane: tuple[int, ...]) -> Integer[ndarray, "*plane"]:
    """Return, for each voxel of one row of the image, the nearest label voxel along one label axis."""
    place: ndarray = np.asarray(offset + row * factors[0] + 0.5 + HALF)
    for size, factor in zip(plane, factors[1:], strict=True):
        place = place[..., None] + np.arange(size) * factor
    return np.floor(place).astype(np.int64)


def _resample_masks(masks: Bool[ndarray, "classes *space"], axes: Axes) -> Bool[ndarray, "classes *out"]:
    out = np.empty((len(masks), *output_space(masks.shape[1:], axes)), dtype=bool)
    for mask, place in zip(masks, out, strict=True):
        for rows, inputs, weights in slab_rows((1, *mask.shape), axes):
            place[rows] = resample_block(mask[inputs], weights) > 0.5 + TIE
    return out


def _largest_share(source: Integer[ndarray, "*space"], axes: Axes) -> Integer[ndarray, "*out"]:
    """Choose the class with the largest share. The lowest class has what the others leave, so it costs nothing."""
    (lowest, _), *others = _class_boxes(source)
    space = output_space(source.shape, axes)
    out = np.full(space, lowest, dtype=source.dtype)
    best, rest = np.zeros(space, dtype=np.float32), np.ones(space, dtype=np.float32)
    for value, box in others:
        region, weights = _restrict(axes, box)
        share = resample_block(source[box] == value, weights)
        rest[region] -= share
        wins = share > best[region] + TIE
        best[region][wins], out[region][wins] = share[wins], value
    out[rest + TIE >= best] = lowest
    return out


def _class_boxes(source: Integer[ndarray, "*space"]) -> list[tuple[int, tuple[slice, ...]]]:
    """List the values that occur, each with the box that holds it: classes in order, ignored voxels last."""
    from scipy.ndimage import find_objects

    low = int(source.min())
    boxes = find_objects(source.astype(np.int64) - (low - 1))
    found = [(low + number, box) for number, box in enumerate(boxes) if box is not None]
    return sorted(found, key=lambda pair: (pair[0] < 0, pair[0]))


def _restrict(axes: Axes, box: tuple[slice, ...]) -> tuple[tuple[slice, ...], Axes]:
    """Return the box on the output to which a box of the input contributes, and the weights between the two."""
    region, weights = [], []
    for axis, interval in zip(axes, box, strict=True):
        inputs = (interval.start, interval.stop)
        outputs = inputs if axis is None else axis.outputs(*inputs)
        region.append(slice(*outputs))
        weights.append(None if axis is None else axis.part(outputs, inputs))
    return tuple(region), weights
