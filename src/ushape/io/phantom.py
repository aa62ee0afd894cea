"""Abdomens that never were: a seeded CT-like data set of volumes, for tests, and for learning 3D segmentation.

What makes them hard for a threshold is what makes real ones hard: organs as bright as their neighbours, lesions as dark
as muscle and bowel, edges that thick slices blur, and noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16, UInt8
from numpy import ndarray
from numpy.random import Generator

from ushape.core.case import Geometry
from ushape.core.errors import ConfigError
from ushape.core.files import write_json
from ushape.io.anatomy import AIR, CLASSES, Part, draw_body, draw_lesions
from ushape.io.nifti import write_nifti
from ushape.io.outputs import Grid, write_mask

Size = tuple[int, int, int]
Spacing = tuple[float, float, float]
_MIN_SIZE = (8, 48, 48)
_THIN = 3  # slices that are painted for each slice of the picture, and averaged
_LESION_SHARE = 0.009  # of all voxels, at most
_REACH = 1.6  # half axes beyond which an ellipsoid leaves no trace
_BEND = 0.03  # how far the anatomy is bent, in its own unit
_TOWARDS_FEET_BACK_LEFT = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])  # array axes in RAS


def make_phantom(
    rng: Generator, size: Size = (32, 128, 128), spacing: Spacing = (3.0, 1.0, 1.0)
) -> tuple[Int16[ndarray, "z y x"], UInt8[ndarray, "z y x"]]:
    """Make one volume in Hounsfield units and its truth, see `CLASSES`; lesions fill less than 1 % of it.

    A voxel's class is that of the middle of its slice; its value is the mean over the slice's thickness.

    Args:
        spacing: in mm; the anatomy always fills the width.
    Raises:
        ConfigError: a side is too small to show an abdomen.

    >>> image, label = make_phantom(np.random.default_rng(0), (8, 48, 48))
    >>> image.shape, str(image.dtype), bool((label == 1).any())
    ((8, 48, 48), 'int16', True)
    """
    if any(side < least for side, least in zip(size, _MIN_SIZE, strict=True)):
        least = "x".join(map(str, _MIN_SIZE))
        raise ConfigError(
            f"size: expected at least {least} voxels, got {'x'.join(map(str, size))}; 32x128x128 is usual"
        )
    hu, label = paint_body(rng, size, spacing)
    thick = hu.reshape(size[0], _THIN, *size[1:]).mean(axis=1)
    return expose(rng, thick), label[_THIN // 2 :: _THIN]


def write_phantoms(
    folder: Path, *, count: int = 12, seed: int = 0, size: Size = (32, 128, 128), spacing: Spacing = (3.0, 1.0, 1.0)
) -> None:
    """Write a data set of volumes as the Decathlon lays it out: NIfTI in imagesTr/ and labelsTr/, and a dataset.json.

    A volume depends on the seed and its number only: a larger set begins with the smaller one's.

    Raises:
        OutputError: the folder cannot be written.
    """
    middle = -_TOWARDS_FEET_BACK_LEFT.T @ (np.asarray(spacing) * (np.asarray(size) - 1) / 2)
    geometry = Geometry(spacing, "mm", tuple(middle.tolist()), tuple(map(tuple, _TOWARDS_FEET_BACK_LEFT.tolist())))
    names = [f"phantom_{number:03d}.nii.gz" for number in range(count)]
    for number, name in enumerate(names):
        image, label = make_phantom(np.random.default_rng((seed, number)), size, spacing)
        write_nifti(folder / "imagesTr" / name, image, geometry)
        write_mask(folder / "labelsTr" / name, label, grid=Grid(geometry))
    write_json(folder / "dataset.json", _describe(names, seed))


def paint_body(
    rng: Generator, size: Size, spacing: Spacing
) -> tuple[Float[ndarray, "thin y x"], UInt8[ndarray, "thin y x"]]:
    """Paint a body with lesions on slices `_THIN` times thinner than asked for; return Hounsfield units and classes."""
    axes = _make_axes(size, spacing)
    space = tuple(len(axis) for axis in axes)
    hu, label = np.full(space, AIR, dtype=np.float32), np.zeros(space, dtype=np.uint8)
    bends = [_smooth_noise(rng, space, axes) for _ in axes]
    for part in draw_body(rng):
        _paint(part, axes, bends, hu, label)
    room = int(_LESION_SHARE * label.size)
    for part in draw_lesions(rng):
        room -= _paint(part, axes, bends, hu, label, room=room)
    grain = rng.normal(0, 5, space).astype(np.float32)
    return hu + np.where(hu > -200, grain, 0), label


def expose(rng: Generator, hu: Float[ndarray, "z y x"]) -> Int16[ndarray, "z y x"]:
    """Take the scan: the blur of the reconstruction, and its noise, which is smooth within a slice."""
    from scipy.ndimage import gaussian_filter

    sharp = gaussian_filter(hu, (0, 0.6, 0.6))
    noise = gaussian_filter(rng.normal(size=hu.shape).astype(np.float32), (0, 0.7, 0.7))
    scan = sharp + noise * (rng.uniform(8, 18) / noise.std())
    return np.clip(np.rint(scan), -1024, 3071).astype(np.int16)


def _make_axes(size: Size, spacing: Spacing) -> tuple[ndarray, ndarray, ndarray]:
    """Return the places of slices, rows and columns in the anatomy's unit, half the width."""
    counts, steps = (size[0] * _THIN, *size[1:]), (spacing[0] / _THIN, *spacing[1:])
    half = size[2] * spacing[2] / 2
    z, y, x = (((np.arange(n) + 0.5) * step - n * step / 2) / half for n, step in zip(counts, steps, strict=True))
    return z, y, x


def _smooth_noise(rng: Generator, space: tuple[int, ...], axes: tuple[ndarray, ...]) -> Float[ndarray, "thin y x"]:
    """Return how far the anatomy is bent along one axis: slow waves over the body."""
    total = np.zeros(space, dtype=np.float32)
    for frequency in (2.0, 4.0, 7.0):
        waves = [np.sin(frequency * axis + rng.uniform(0, 2 * np.pi)) for axis in axes]
        total += (rng.normal() / frequency**0.5 * waves[0][:, None, None] * waves[1][:, None] * waves[2]).astype(
            np.float32
        )
    return total * _BEND


def _paint(
    part: Part, axes: tuple[ndarray, ...], bends: list[ndarray], hu: ndarray, label: ndarray, room: int | None = None
) -> int:
    """Paint a part, unless it would fill more than `room` voxels; return how many it fills."""
    window = tuple(_reach(part, axis, along) for axis, along in enumerate(axes))
    grid = np.meshgrid(*(along[span] for along, span in zip(axes, window, strict=True)), indexing="ij", sparse=True)
    inside = part.depth(*(at + bend[window] for at, bend in zip(grid, bends, strict=True))) > 1
    if part.only_on is not None:
        inside &= label[window] == part.only_on
    count = int(inside.sum())
    if room is not None and count > room:
        return 0
    hu[window][inside], label[window][inside] = part.hu, part.label
    return count


def _reach(part: Part, axis: int, along: ndarray) -> slice:
    """Return the slices, rows or columns that a part can reach."""
    ends = [
        (blob.middle[axis] - reach, blob.middle[axis] + reach)
        for blob in part.blobs
        for reach in [_REACH * (blob.radii[0] if axis == 0 else max(blob.radii[1:])) + 3 * _BEND]
    ]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return slice(int(np.searchsorted(along, low)), int(np.searchsorted(along, high)))


def _describe(names: list[str], seed: int) -> dict[str, object]:
    return {
        "name": "phantom",
        "description": f"synthetic CT-like abdomens, made by ushape (seed {seed})",
        "modality": {"0": "CT"},
        "labels": {str(value): name for value, name in enumerate(CLASSES)},
        "numTraining": len(names),
        "training": [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
    }
