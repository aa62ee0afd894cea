"""Crop to content: leave out the empty margin that many volumes have, and give it back as background."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Num
from numpy import ndarray

from ushape.core.case import Case, image_in_memory
from ushape.prep.box import Boxed, box_case

Content = Literal["none", "nonzero"]
"""nonzero: the smallest box around all voxels that are not 0 in some channel."""


class Crop:
    """Cut the box of the content out of a case; `Boxed.removed` of the way back says how much was left out."""

    def __init__(self, content: Content) -> None:
        self.content = content

    def forward(self, case: Case) -> tuple[Case, Boxed]:
        """Return the cropped case and the way back. An image without content stays whole."""
        box = Boxed((0,) * len(case.space), case.space, case.space)
        if self.content == "nonzero":
            box = content_box(image_in_memory(case))
        return box_case(case, box, ()), box


def content_box(image: Num[ndarray, "channels *space"]) -> Boxed:
    """Find the smallest box around all voxels that are not 0 in some channel; the whole image if there are none.

    Reads one plane after the other, so that the image may be a memory map.

    >>> content_box(np.array([[[0, 0, 0], [0, 5, 5]]]))
    Boxed(starts=(1, 1), sizes=(1, 2), space=(2, 3))
    """
    space = image.shape[1:]
    filled, shadow = np.zeros(space[0], dtype=bool), np.zeros(space[1:], dtype=bool)
    for row in range(space[0]):
        plane = (image[:, row] != 0).any(axis=0)
        filled[row] = plane.any()
        shadow |= plane
    if not filled.any():
        return Boxed((0,) * len(space), space, space)
    ends = [_ends(filled), *(_ends(_project(shadow, axis)) for axis in range(shadow.ndim))]
    return Boxed(tuple(low for low, _ in ends), tuple(high - low for low, high in ends), space)


def _project(mask: ndarray, axis: int) -> ndarray:
    return np.asarray(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def _ends(mask: ndarray) -> tuple[int, int]:
    found = np.flatnonzero(mask)
    return int(found[0]), int(found[-1]) + 1
