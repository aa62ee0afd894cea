"""Flat pictures of a predicted case: itself in 2D, three planes of a volume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.labels import flatten
from ushape.report.planes import planes


def cut_planes(case: Case, prediction: Prediction) -> Iterator[tuple[str, ndarray, ndarray]]:
    """Yield a name, the image (channels, rows, cols) and the class indices (rows, cols) of each picture."""
    label = flatten(prediction.label)
    for plane in planes(label > 0, case.geometry):
        name = f"{case.name}_{plane.name}" if plane.name else case.name
        yield name, np.ascontiguousarray(plane.cut(case.image)), np.ascontiguousarray(plane.cut(label))
