"""The label table: which number in a mask file means which class."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray
from pydantic import Field, model_validator

from ushape.core.config import Config
from ushape.core.errors import DataError

AnyLabel = Integer[ndarray, "*space"] | Bool[ndarray, "classes *space"]
"""Class indices, or one mask per foreground class where classes may overlap."""
IGNORE = -1
"""The class index of voxels that neither train nor count."""

Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]
Ignore = Annotated[int, Field(ge=0)] | Literal["none"]


class Labels(Config):
    """The classes of a data set, and the number that stands for each in its mask files.

    Attributes:
        names: one per class, the background first.
        values: the number of each class in the files, strictly increasing from the background's 0.
        merge: "foreground" makes every value above 0 class 1: instance maps, or a first look at many classes.
        ignore: a value whose voxels neither train nor count, or "none".
        overlap: "none" if a voxel has one class. Else it may have several, and a label is one mask per foreground
            class: "regions" are unions of file values, "files" are one mask file per class.
        regions: for overlap "regions", the file values that each foreground class consists of.
        colours: of the classes, the background first, as "#e69f00", for palettes, overlays and DICOM-SEG; () for those
            of `io.colours.class_colours`.
    """

    names: tuple[str, ...] = ("background", "foreground")
    values: tuple[int, ...] = (0, 255)
    merge: Literal["none", "foreground"] = "none"
    ignore: Ignore = "none"
    overlap: Literal["none", "regions", "files"] = "none"
    regions: tuple[tuple[int, ...], ...] = ()
    colours: tuple[Colour, ...] = ()

    @model_validator(mode="after")
    def _names_fit_values(self) -> Labels:
        if len(self.names) != len(self.values) or len(self.values) < 2:
            raise ValueError("names and values need one entry per class, and at least two classes")
        if len(self.colours) not in (0, len(self.names)):
            raise ValueError("colours need one entry per class, the background first, or none")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"values must differ, got {self._name_same()}")
        if list(self.values) != sorted(self.values) and self.overlap == "none":
            raise ValueError("values must increase, each once")
        if self.merge == "foreground" and len(self.values) != 2:
            raise ValueError('merge = "foreground" leaves exactly two classes')
        if self.ignore in self.values:
            raise ValueError("the ignored value cannot be a class as well")
        return self

    def _name_same(self) -> str:
        """Name two classes of one value."""
        rows = itertools.combinations(zip(self.names, self.values, strict=True), 2)
        first, second, value = next((one, other, of) for (one, of), (other, its) in rows if of == its)
        return f"{value} for {first} and {second}"

    @model_validator(mode="after")
    def _overlap_is_possible(self) -> Labels:
        if len(self.regions) != (len(self.names) - 1 if self.overlap == "regions" else 0):
            raise ValueError('regions need overlap = "regions" and one entry per foreground class')
        if self.overlap != "none" and (self.merge, self.ignore) != ("none", "none"):
            raise ValueError("classes that may overlap can be neither merged nor ignored")
        return self

    @property
    def count(self) -> int:
        """The number of classes, the background counted."""
        return len(self.values)

    @property
    def scored(self) -> tuple[str, ...]:
        """What a label tells apart: all classes, or of those that may overlap the foreground's, one mask each."""
        return self.names if self.overlap == "none" else self.names[1:]

    def encode(self, raw: Integer[ndarray, "*space"], where: str) -> AnyLabel:
        """Turn file values into class indices (int16; `IGNORE` for ignored voxels), or into one mask per region.

        Raises:
            DataError: a value is in no class; the message lists the strangers and says what to do.

        >>> Labels(values=(0, 255)).encode(np.array([0, 255, 0], dtype=np.uint8), "mask.png")
        array([0, 1, 0], dtype=int16)
        """
        if self.overlap == "regions":
            return self._encode_regions(raw, where)
        out = np.full(raw.shape, IGNORE, dtype=np.int16)
        if self.merge == "foreground":
            out[...] = raw > 0
        for index, value in enumerate(self.values if self.merge == "none" else ()):
            out[raw == value] = index
        unknown = out == IGNORE
        if self.ignore != "none":
            out[raw == self.ignore] = IGNORE
            unknown &= raw != self.ignore
        if unknown.any():
            self._refuse_strangers(np.unique(raw[unknown]), where)
        return out

    def decode(self, indices: AnyLabel) -> Integer[ndarray, "*space"]:
        """Turn class indices back into file values, in the smallest unsigned type that holds them.

        Masks of regions are painted over each other in their order.

        >>> Labels(values=(0, 255)).decode(np.array([0, 1, 0]))
        array([  0, 255,   0], dtype=uint8)
        """
        values = np.asarray(self.values, dtype=np.min_scalar_type(max(self.values)))
        if indices.dtype != bool:
            chosen: ndarray = values[indices]
            return chosen
        raw = np.zeros(indices.shape[1:], dtype=values.dtype)
        for mask, value in zip(indices, values[1:], strict=True):
            raw[mask] = value
        return raw

    def _encode_regions(self, raw: Integer[ndarray, "*space"], where: str) -> Bool[ndarray, "classes *space"]:
        unknown = np.isin(raw, (self.values[0], *itertools.chain(*self.regions)), invert=True)
        if unknown.any():
            self._refuse_strangers(np.unique(raw[unknown]), where)
        return np.stack([np.isin(raw, region) for region in self.regions])

    def _refuse_strangers(self, strangers: Integer[ndarray, " n"], where: str) -> None:
        shown = ", ".join(str(value) for value in strangers[:8]) + (", ..." if strangers.size > 8 else "")
        raise DataError(
            f"{where}: expected label values {list(self.values)}, got also {shown}; correct the mask, "
            "or name the values in [data.labels] of a recipe, or use ushape train --foreground"
        )


def flatten(label: AnyLabel) -> Integer[ndarray, "*space"]:
    """Return class indices, for pictures: of masks that overlap the last class that covers a voxel.

    >>> flatten(np.array([[True, True, False], [False, True, False]])).tolist()
    [1, 2, 0]
    """
    if label.dtype != bool:
        return label
    indices = np.zeros(label.shape[1:], dtype=np.int16)
    for index, mask in enumerate(label, start=1):
        indices[mask] = index
    return indices
