"""Deliver what a model found in one image: its mask, and what is asked for beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ushape.core.case import Case, Prediction
from ushape.core.labels import Labels
from ushape.io.dicom_seg import Kind
from ushape.io.outputs import Grid, write_picture, write_probabilities
from ushape.io.results import write_result
from ushape.workflows.extras import Extras, list_extras, write_extras
from ushape.workflows.targets import Target


@dataclass(frozen=True)
class OutputOptions:
    """What is written beside the masks, and which images are left out.

    Attributes:
        overlays: the image with the mask drawn on it, under overlays/.
        probabilities: float16 of every class, under probabilities/.
        extras: what else is written, see `Extras`.
        skip_existing: leave images alone of which everything that is asked for is there already.
        axes: of the files' arrays, see `io.images.read_raster`; None reads them as in training.
        series: which DICOM series, by UID or part of its description; "" where there is but one.
        ending: the format of the masks, as "nrrd" or "dcm"; "" for each image's own.
        segments: the kind of DICOM-SEG.
    """

    overlays: bool = False
    probabilities: bool = False
    skip_existing: bool = False
    axes: str | None = None
    extras: Extras = field(default_factory=Extras)
    series: str = ""
    ending: str = ""
    segments: Kind = "BINARY"


def is_finished(target: Target, labels: Labels, options: OutputOptions) -> bool:
    """Tell whether the masks of an image and all that is asked for beside them are there."""
    probabilities = [target.beside("probabilities")] if options.probabilities else []
    files = [*target.files(labels), *probabilities, *list_extras(target, options.extras)]
    return all(path.exists() for path in files) and (not options.overlays or target.has_overlays())


def write_outputs(target: Target, case: Case, prediction: Prediction, labels: Labels, options: OutputOptions) -> None:
    """Write the mask of one image, and before it what lies beside it: where there is a mask, all is there.

    Raises:
        DataError: the format cannot hold it.
        OutputError: the place cannot be written.
    """
    folder, grid = target.mask.parent, Grid(case.geometry, Path(case.source))
    if options.overlays:
        from ushape.report.overlays import draw_large  # both bring the report's measures
        from ushape.workflows.pictures import cut_planes

        for name, image, label, spacing in cut_planes(case, prediction):
            write_picture(folder / "overlays" / f"{name}.png", draw_large(image, label, labels, spacing))
    if options.probabilities and prediction.probabilities is not None:
        write_probabilities(target.beside("probabilities"), prediction.probabilities.astype(np.float16), grid=grid)
    write_extras(target, case, prediction, options.extras)
    write_result(target.mask, prediction.label, labels, grid, series=target.pair.series, kind=options.segments)
