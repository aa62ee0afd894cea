"""Prepared cases on disk, memory-mapped, so that a patch is cut without reading the whole case."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Integer
from numpy import ndarray

from ushape.core.case import Case, Geometry
from ushape.core.errors import DataError
from ushape.core.files import read_json, whole_folder, write_json

LOCATIONS_PER_CLASS = 2000
INDEX = "index.json"
"""The file that is written last, so that a folder without it is seen to be incomplete."""
IMAGE, LABEL, LOCATIONS, GEOMETRY = "image.npy", "label.npy", "locations.npz", "geometry.json"
"""The files of a case, in a folder that is named after its key."""


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One prepared case.

    Attributes:
        image: (channels, *space) float32, memory-mapped.
        label: (*space) class indices, or (classes, *space) masks of classes that overlap; memory-mapped.
        locations: for each foreground class that occurs, a random sample of its voxels, (n, ndim).
    """

    name: str
    image: Float[ndarray, "channels *space"]
    label: Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"]
    geometry: Geometry
    locations: dict[int, Int[ndarray, "n ndim"]]

    def as_case(self) -> Case:
        """Return it as a case, for validation."""
        return Case(self.name, self.image, self.geometry, self.label)


@dataclass(frozen=True, eq=False)
class Contents:
    """What the sampler must know of all cases.

    Attributes:
        voxels: number of them in each case.
        has_foreground: whether a case has any.
    """

    voxels: Int[ndarray, " cases"]
    has_foreground: Bool[ndarray, " cases"]


class Store:
    """A folder of prepared cases, read by position.

    An index is written last, so that a folder left by a killed run is seen to be incomplete.
    """

    def __init__(self, folder: Path, indices: Sequence[int] | None = None) -> None:
        self.folder = folder
        self._rows = read_json(folder / INDEX)
        self._chosen = list(range(len(self._rows)) if indices is None else indices)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, position: int) -> PreparedCase:
        row = self._rows[self._chosen[position]]
        folder = self.folder / row["key"]
        with np.load(folder / LOCATIONS) as locations:
            sampled = {int(index): locations[index] for index in locations.files}
        return PreparedCase(
            name=row["name"],
            image=np.load(folder / IMAGE, mmap_mode="r"),
            label=np.load(folder / LABEL, mmap_mode="r"),
            geometry=Geometry(**_tuples(row["geometry"])),
            locations=sampled,
        )

    @cached_property
    def contents(self) -> Contents:
        """What the sampler must know of all cases; read once."""
        cases = [self[position] for position in range(len(self))]
        voxels = [math.prod(case.image.shape[1:]) for case in cases]
        return Contents(np.array(voxels), np.array([bool(case.locations) for case in cases]))

    @property
    def names(self) -> list[str]:
        """The names of its cases."""
        return [self._rows[number]["name"] for number in self._chosen]

    def subset(self, names: Iterable[str]) -> Store:
        """Return a view on the named cases, in the order given.

        Raises:
            DataError: a name is not in the store.
        """
        position = {row["name"]: number for number, row in enumerate(self._rows)}
        names = list(names)
        missing = [name for name in names if name not in position]
        if missing:
            raise DataError(f"{self.folder}: no prepared case {missing[0]!r}; the data set changed, start a new run")
        return Store(self.folder, [position[name] for name in names])


def is_complete(folder: Path) -> bool:
    """Say whether a folder holds a finished store."""
    return (folder / INDEX).is_file()


def write_case(folder: Path, key: str, case: Case) -> None:
    """Write one prepared case under its key, whole or not at all.

    Args:
        key: letters and digits that stand for all that made the case what it is, in hexadecimal.
    Raises:
        DataError: the case has no label.
        OutputError: the disk is full or the folder cannot be written.
    """
    if case.label is None:
        raise DataError(f"{case.name}: expected a label; training needs one for every image")
    with whole_folder(folder / key) as place:
        for name, array in ((IMAGE, np.asarray(case.image)), (LABEL, case.label)):
            np.save(place / name, array)
            if (place / name).stat().st_size < array.nbytes:  # numpy keeps quiet about the last bytes on a full disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        found = sample_locations(case.label, np.random.default_rng(int(key, 16)))
        np.savez(place / LOCATIONS, **{str(index): voxels for index, voxels in found.items()})  # type: ignore[arg-type]
        write_json(place / GEOMETRY, case.geometry.__dict__)


def write_index(folder: Path, cases: Sequence[tuple[str, str]]) -> None:
    """Finish a store: say the name and the key of each case, in the order of their positions."""
    rows = [{"name": name, "key": key, "geometry": read_json(folder / key / GEOMETRY)} for name, key in cases]
    write_json(folder / INDEX, rows)


def sample_locations(
    label: Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"], rng: np.random.Generator
) -> dict[int, Int[ndarray, "n ndim"]]:
    """Draw up to `LOCATIONS_PER_CLASS` voxels of each foreground class that occurs; masks are counted from 1.

    >>> found = sample_locations(np.array([[0, 2], [0, -1]]), np.random.default_rng(0))
    >>> {index: voxels.tolist() for index, voxels in found.items()}
    {2: [[0, 1]]}
    """
    if label.dtype == bool:
        masks = dict(enumerate(label, start=1))
    else:
        masks = {int(value): label == value for value in np.unique(label) if value > 0}
    found = {}
    for index, mask in masks.items():
        flat = np.flatnonzero(mask)
        if flat.size > LOCATIONS_PER_CLASS:
            flat = rng.choice(flat, LOCATIONS_PER_CLASS, replace=False)
        if flat.size:
            found[index] = np.stack(np.unravel_index(np.sort(flat), mask.shape), axis=1)
    return found


def _tuples(row: dict) -> dict:
    return {key: _tuple(value) for key, value in row.items()}


def _tuple(value: object) -> object:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
