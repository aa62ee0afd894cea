"""Rules that clean a label: components, holes, small pieces, ragged borders. The same in 2D and 3D.

Components touch at faces, edges or corners; holes are background that no path over faces leads out of. What a rule
takes away becomes background.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.case import Geometry
from ushape.core.config import Config, choose, parse_config
from ushape.core.errors import ConfigError
from ushape.core.labels import AnyLabel

Label = Integer[ndarray, "*space"]
Mask = Bool[ndarray, "*space"]
Classes = Literal["all"] | tuple[Annotated[int, Field(ge=1)], ...]
"""Which foreground classes a rule looks at, each by itself: indices, 1 is the first foreground class."""
Unit = Literal["mm", "px"]

REACH = 4.0
"""How many standard deviations smoothing looks around."""


@runtime_checkable
class Rule(Protocol):
    """What every rule can do."""

    def apply(self, label: Label, geometry: Geometry, /) -> Label:
        """Return the cleaned label; the given one stays as it is."""
        ...


class Largest(Config):
    """Keep the largest component and make the others background.

    Attributes:
        of: "foreground" takes all classes together, "class" each class by itself.
        classes: for "class", which of them.
    """

    name: Literal["largest"] = "largest"
    of: Literal["foreground", "class"] = "foreground"
    classes: Classes = "all"

    def apply(self, label: Label, _: Geometry) -> Label:
        """Return the label without lesser components.

        >>> Largest().apply(np.array([[1, 0, 2, 1], [0, 0, 1, 1]]), Geometry.pixels(2)).tolist()
        [[0, 0, 2, 1], [0, 0, 1, 1]]
        """
        out = label.copy()
        masks = [(slice(None), label > 0)] if self.of == "foreground" else class_boxes(label, self.classes)
        for box, mask in masks:
            numbers, sizes = components(mask)
            if len(sizes) > 1:
                out[box][mask & (numbers != sizes.argmax() + 1)] = 0
        return out


class MinSize(Config):
    """Remove components of a class that are smaller than a size.

    Attributes:
        size: area or volume: in mm^2 or mm^3, or in pixels.
        unit: of the length whose square or cube `size` is.
        classes: which of them.
    """

    name: Literal["min_size"] = "min_size"
    size: Annotated[float, Field(gt=0)] = 10.0
    unit: Unit = "px"
    classes: Classes = "all"

    def apply(self, label: Label, geometry: Geometry) -> Label:
        """Return the label without small components.

        Raises:
            ConfigError: the size is in mm and the image does not say how large its voxels are.

        >>> MinSize(size=2).apply(np.array([[1, 0, 1, 1]]), Geometry.pixels(2)).tolist()
        [[0, 0, 1, 1]]
        """
        voxels = self.size / math.prod(_steps(geometry, self.unit, "min_size"))
        out = label.copy()
        for box, mask in class_boxes(label, self.classes):
            numbers, sizes = components(mask)
            is_small = np.concatenate([[False], sizes < voxels * (1 - 1e-9)])
            out[box][is_small[numbers]] = 0
        return out


class FillHoles(Config):
    """Give holes in a class to that class: background that it encloses.

    Attributes:
        classes: which of them, the lowest first.
    """

    name: Literal["fill_holes"] = "fill_holes"
    classes: Classes = "all"

    def apply(self, label: Label, _: Geometry) -> Label:
        """Return the label without holes.

        >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
        >>> int(FillHoles().apply(ring, Geometry.pixels(2))[1, 1])
        1
        """
        from scipy.ndimage import binary_fill_holes

        out = label.copy()
        for number, (box, mask) in zip(_numbers(label, self.classes), class_boxes(label, self.classes), strict=True):
            out[box][binary_fill_holes(mask) & (out[box] == 0)] = number
        return out


class Smooth(Config):
    """Smooth borders: each voxel gets the class that has the largest share around it, weighted by a Gaussian.

    Attributes:
        sigma: standard deviation of the Gaussian, in `unit`.
        unit: "mm" looks equally far along all axes, "px" equally many voxels.
    """

    name: Literal["smooth"] = "smooth"
    sigma: Annotated[float, Field(gt=0)] = 1.0
    unit: Unit = "px"

    def apply(self, label: Label, geometry: Geometry) -> Label:
        """Return the smoothed label; of equal shares the lowest class wins.

        Raises:
            ConfigError: sigma is in mm and the image does not say how large its voxels are.
        """
        from scipy.ndimage import gaussian_filter

        sigmas = [self.sigma / step for step in _steps(geometry, self.unit, "smooth")]
        reach = [math.ceil(REACH * sigma) for sigma in sigmas]
        out = np.zeros_like(label)
        best, rest = np.zeros(label.shape, dtype=np.float32), np.ones(label.shape, dtype=np.float32)
        for number, (box, _) in zip(_numbers(label, "all"), class_boxes(label, "all"), strict=True):
            wide = tuple(slice(max(cut.start - far, 0), cut.stop + far) for cut, far in zip(box, reach, strict=True))
            share = gaussian_filter((label[wide] == number).astype(np.float32), sigmas, mode="nearest", truncate=REACH)
            rest[wide] -= share
            wins = share > best[wide]
            best[wide][wins], out[wide][wins] = share[wins], number
        out[rest >= best] = 0
        return out


AnyRule = Annotated[Largest | MinSize | FillHoles | Smooth, Field(discriminator="name")]
RULES: dict[str, type[Largest | MinSize | FillHoles | Smooth]] = {
    "largest": Largest,
    "min_size": MinSize,
    "fill_holes": FillHoles,
    "smooth": Smooth,
}


_AMOUNTS = {"min_size": "size", "smooth": "sigma"}
"""The rules that take a number, and what it is called."""


def parse_rules(text: str) -> tuple[Largest | MinSize | FillHoles | Smooth, ...]:
    """Read rules as they are written on a command line: `largest,min_size=30mm,smooth=1.5`, or `none`.

    A number is in pixels, or in mm if that stands behind it (a size then in mm^2 or mm^3).

    Raises:
        ConfigError: a rule or number does not exist.

    >>> parse_rules("min_size=30mm")
    (MinSize(name='min_size', size=30.0, unit='mm', classes='all'),)
    """
    parts = [part.strip() for part in text.split(",")]
    alone = [word for word in ("auto", "none") if word in parts]
    if alone and len(parts) > 1:
        raise ConfigError(
            f"--postprocess {text}: expected {alone[0]} alone, got rules beside it; name every rule that is wanted"
        )
    return () if alone == ["none"] else tuple(map(_parse_rule, parts))


def _parse_rule(text: str) -> Largest | MinSize | FillHoles | Smooth:
    name, equals, amount = text.partition("=")
    rule, field = choose(name, RULES, "rule of --postprocess"), _AMOUNTS.get(name, "")
    if equals and not field:
        raise ConfigError(f"--postprocess {text}: expected no number behind {name}, got {amount}; leave it out")
    unit = amount[-2:] if amount[-2:] in ("mm", "px") else ""
    fields = {field: amount.removesuffix(unit), "unit": unit or "px"} if equals else {}
    return parse_config(rule, fields, f"--postprocess {name}")


def apply_rules(label: AnyLabel, rules: Iterable[Rule], geometry: Geometry) -> AnyLabel:
    """Clean a label by some rules, one after the other. Classes that may overlap have no rules."""
    for rule in rules:
        label = rule.apply(label, geometry)
    return label


def components(mask: Mask) -> tuple[Integer[ndarray, "*space"], Integer[ndarray, " n"]]:
    """Number the components of a mask from 1 on; return the numbers and the voxels of each.

    >>> numbers, sizes = components(np.array([[True, False, True], [False, False, True]]))
    >>> numbers.tolist(), sizes.tolist()
    ([[1, 0, 2], [0, 0, 2]], [1, 2])
    """
    from scipy.ndimage import generate_binary_structure, label

    numbers, _ = label(mask, generate_binary_structure(mask.ndim, mask.ndim))
    return numbers, np.bincount(numbers.ravel())[1:]


def class_boxes(label: Label, classes: Classes) -> Iterator[tuple[tuple[slice, ...], Mask]]:
    """Yield the box of each class that occurs, and its mask there."""
    from scipy.ndimage import find_objects

    boxes = find_objects(label)
    for number in _numbers(label, classes):
        box = boxes[number - 1]
        yield box, label[box] == number


def _numbers(label: Label, classes: Classes) -> list[int]:
    found = [int(number) for number in np.flatnonzero(np.bincount(label.ravel())) if number > 0]
    return [number for number in found if classes == "all" or number in classes]


def _steps(geometry: Geometry, unit: Unit, what: str) -> Sequence[float]:
    if unit == "px":
        return (1.0,) * geometry.ndim
    if geometry.unit != "mm":
        raise ConfigError(f"postprocess.{what}: expected voxels of known size, got an image without; give it in px")
    return geometry.spacing
