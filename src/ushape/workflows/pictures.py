"""Flat pictures of a predicted case: itself in 2D, three planes of a volume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.labels import Labels, flatten
from ushape.io.outputs import draw_overlay
from ushape.report.contents import Overlay
from ushape.report.heat import draw_image
from ushape.report.layers import resample_nearest
from ushape.report.overlays import fit_overlay, resample_smoothly
from ushape.report.planes import planes

GAP = 4
"""White pixels between pictures that stand side by side."""


def cut_planes(case: Case, prediction: Prediction) -> Iterator[tuple[str, ndarray, ndarray, tuple[float, float]]]:
    """Yield a name, image (channels, rows, cols), class indices (rows, cols) and spacing of each picture."""
    label = flatten(prediction.label)
    for plane in planes(label > 0, case.geometry):
        name = f"{case.name}_{plane.name}" if plane.name else case.name
        image, mask = (np.ascontiguousarray(plane.cut(each)) for each in (case.image, label))
        yield name, image, mask, plane.spacing


def draw_rows(overlay: Overlay, labels: Labels) -> Iterator[tuple[str, ndarray]]:
    """Yield a name and a picture of each plane of a case: the image, with its label, with its prediction."""
    label = np.zeros_like(overlay.prediction) if overlay.label is None else overlay.label
    for plane in planes((label > 0) | (overlay.prediction > 0), overlay.geometry):
        cut = plane.cut(overlay.image)
        size = fit_overlay((cut.shape[1], cut.shape[2]), plane.spacing)
        image = np.ascontiguousarray(resample_smoothly(cut, size))
        flats = (resample_nearest(plane.cut(mask), size) for mask in (label, overlay.prediction))
        shown = [draw_image(image), *(draw_overlay(image, flat, labels) for flat in flats)]
        gap = np.full((image.shape[1], GAP, 3), 255, dtype=np.uint8)
        row = np.concatenate([shown[0], gap, shown[1], gap, shown[2]], axis=1)
        yield f"{overlay.case}_{plane.name}" if plane.name else overlay.case, row
