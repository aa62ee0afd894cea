"""The story of one voxel: from the value in the file through every step of preparation to its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Geometry
from ushape.core.errors import ConfigError
from ushape.prep.fit import FitConfig
from ushape.prep.geometry import index_map, last_axes
from ushape.prep.intensity import apply_steps
from ushape.prep.pipeline import Pipeline, PrepConfig

Place = tuple[int, ...]


@dataclass(frozen=True)
class ValueStep:
    """What one step of preparation made of a voxel: its channels' values behind it."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class ValueStory:
    """How a voxel's value reached the network.

    Attributes:
        steps: "file" first, then each step.
        place: where it lies in the prepared image; None if it was cropped off, and is background by that.
    """

    steps: tuple[ValueStep, ...]
    place: Place | None


@dataclass(frozen=True)
class Decision:
    """How a voxel got its class; several where classes may overlap.

    Attributes:
        said: what the network's probabilities make of it.
        cleaned: each rule that changed that, and what it made of it.
    """

    said: tuple[str, ...]
    cleaned: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def decided(self) -> tuple[str, ...]:
        """What it is at the end."""
        return self.cleaned[-1][1] if self.cleaned else self.said


def parse_place(text: str, space: Sequence[int]) -> Place:
    """Read "row,col" or "z,y,x" and hold it against the image.

    Raises:
        ConfigError: it is no place of this image.

    >>> parse_place("3,4", (10, 10))
    (3, 4)
    >>> parse_place("3,40", (10, 10))
    Traceback (most recent call last):
    ushape.core.errors.ConfigError: --at 3,40: expected a point in the image, from 0,0 to 9,9; choose one of those
    """
    names = ("z", "y", "x") if len(space) == 3 else ("row", "col")
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(space) or not all(part.removeprefix("-").isdecimal() for part in parts):
        raise ConfigError(f"--at {text}: expected {','.join(names)}, {len(space)} whole numbers counted from 0")
    place = tuple(int(part) for part in parts)
    if not all(0 <= at < size for at, size in zip(place, space, strict=True)):
        first, last = ",".join("0" * len(space)), ",".join(str(size - 1) for size in space)
        raise ConfigError(f"--at {text}: expected a point in the image, from {first} to {last}; choose one of those")
    return place


def follow_value(case: Case, config: PrepConfig, place: Place) -> ValueStory:
    """Follow a voxel's values through the steps of preparation.

    The place in a turned, cropped or resampled image is the voxel whose centre lies nearest.
    """
    grid = Pipeline(config.model_copy(update={"intensity": (), "fit": FitConfig()})).forward(case)[0]
    steps = [ValueStep("file", _values(np.asarray(case.image[last_axes(*place)])))]
    at = find_place(case.geometry, place, grid.geometry, grid.space)
    if at is None:
        return ValueStory(tuple(steps), None)
    image = np.asarray(grid.image)
    if not np.array_equal(image[last_axes(*at)], steps[0].values):
        steps.append(ValueStep("resample", _values(image[last_axes(*at)])))
    for step in config.intensity:
        image = apply_steps(image, [step])
        steps.append(ValueStep(step.name, _values(image[last_axes(*at)])))
    fitted = Pipeline(config.model_copy(update={"intensity": ()})).forward(case)[0]
    return ValueStory(tuple(steps), find_place(case.geometry, place, fitted.geometry, fitted.space))


def find_place(source: Geometry, place: Place, target: Geometry, space: Sequence[int]) -> Place | None:
    """Return the voxel of another grid whose centre is nearest to a voxel; None if that lies beyond the grid.

    >>> half = Geometry((2.0, 2.0), "px", (0.5, 0.5), ((1.0, 0.0), (0.0, 1.0)))
    >>> find_place(Geometry.pixels(2), (5, 9), half, (8, 8))
    (2, 4)
    """
    matrix, offset = index_map(target, source)
    found = np.rint(np.asarray(place) @ matrix + offset).astype(int)
    inside = all(0 <= at < size for at, size in zip(found, space, strict=True))
    return tuple(found.tolist()) if inside else None


def choose_place(foreground: ndarray) -> Place:
    """Choose a voxel worth following: the one deepest inside the foreground; the middle if there is none.

    >>> inside = np.zeros((7, 9), dtype=bool)
    >>> inside[1:6, 2:7] = True
    >>> choose_place(inside), choose_place(np.zeros((4, 6), dtype=bool))
    ((3, 4), (2, 3))
    """
    from scipy.ndimage import distance_transform_edt

    if not foreground.any():
        return tuple(size // 2 for size in foreground.shape)
    depth = distance_transform_edt(np.pad(foreground, 1))[(slice(1, -1),) * foreground.ndim]
    return tuple(int(at) for at in np.unravel_index(depth.argmax(), depth.shape))


def _values(values: ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
