"""The colours of the classes, the same in palette masks, overlays and DICOM-SEG."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from ushape.core.labels import Labels

_CYCLE = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # green
    (204, 121, 167),  # purple
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
)


def class_colours(count: int) -> UInt8[ndarray, "count 3"]:
    """Return one colour per class: black for the background, then seven that colour-blind people can tell apart.

    From the eighth class on they come again, darker each time round.

    Source: Okabe and Ito, Color Universal Design, 2008. Differs: another order, brightest contrasts first.

    >>> class_colours(3).tolist()
    [[0, 0, 0], [230, 159, 0], [86, 180, 233]]
    """
    rounds = np.arange(max(count - 1, 0)) // len(_CYCLE)
    colours = np.array([_CYCLE[i % len(_CYCLE)] for i in range(count - 1)], dtype=np.float64).reshape(-1, 3)
    dimmed = colours * (0.7**rounds)[:, None]
    return np.vstack([np.zeros((min(count, 1), 3)), dimmed]).round().astype(np.uint8)


def label_colours(labels: Labels) -> UInt8[ndarray, "count 3"]:
    """Return one colour per class: as the label table says, else `class_colours`.

    >>> label_colours(Labels(colours=("#000000", "#00ff80"))).tolist()
    [[0, 0, 0], [0, 255, 128]]
    """
    if not labels.colours:
        return class_colours(labels.count)
    return np.array([list(bytes.fromhex(colour[1:])) for colour in labels.colours], dtype=np.uint8)
