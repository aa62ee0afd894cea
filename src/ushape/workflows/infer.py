"""Predict: read images, apply a model, write masks on the images' own grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ushape.core.errors import DataError, OutputError, UshapeError
from ushape.core.events import Listener, Message, Progress, ignore_events
from ushape.io.layouts import load_case
from ushape.io.outputs import Grid, probabilities_name, write_mask, write_overlay, write_probabilities
from ushape.workflows.extras import Extras, write_extras
from ushape.workflows.model import Model
from ushape.workflows.pictures import cut_planes
from ushape.workflows.stream import predict_streamed
from ushape.workflows.targets import Target, choose_targets

AXIS_NAMES = ("slices", "rows", "columns")


@dataclass(frozen=True)
class OutputOptions:
    """What is written beside the masks, and which images are left out.

    Attributes:
        overlays: the image with the mask drawn on it, under overlays/.
        probabilities: float16 of every class, under probabilities/.
        extras: what else is written, see `Extras`.
        skip_existing: leave images alone whose mask is there already.
        axes: of the files' arrays, see `io.images.read_raster`; None reads them as in training.
    """

    overlays: bool = False
    probabilities: bool = False
    skip_existing: bool = False
    axes: str | None = None
    extras: Extras = field(default_factory=Extras)


@dataclass(frozen=True)
class BatchResult:
    """What became of many images.

    Attributes:
        written: the masks.
        skipped: the images whose mask was there already.
        failed: image to reason.
    """

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: dict[str, str]


def predict_files(
    model: Model, source: Path, output: Path, options: OutputOptions, listener: Listener = ignore_events
) -> BatchResult:
    """Predict a file or a folder; a bad image is listed and the others go on.

    Args:
        output: a folder; or, for a single image, the mask's own path if it is named like a picture.
    Raises:
        DataError: there is nothing to predict.
        OutputError: the output is the folder of the images, or cannot be written.
    """
    targets = choose_targets(source, output, model.recipe.data.channels)
    skipped = [target for target in targets if options.skip_existing and target.mask.exists()]
    todo = [target for target in targets if target not in skipped]
    if model.mirrored:
        along = " and ".join(AXIS_NAMES[-model.recipe.net.ndim :][axis] for axis in model.mirrored)
        listener(Message(f"averaging over {2 ** len(model.mirrored)} mirror images, along {along} as in training"))
    masks_only = replace(options, skip_existing=False) == OutputOptions()
    written, failed = [], {}
    for number, target in enumerate(todo):
        try:
            if not (masks_only and predict_streamed(model, target, listener)):
                _predict_file(model, target, options)
            written.append(target.mask)
        except OutputError:
            raise
        except UshapeError as error:
            failed[str(target.pair.image)] = str(error)
        listener(Progress("predict", number + 1, len(todo)))
    return BatchResult(tuple(written), tuple(target.pair.image for target in skipped), failed)


def _predict_file(model: Model, target: Target, options: OutputOptions) -> None:
    data = model.recipe.data
    case = load_case(target.pair, channels=data.channels, axes=data.axes if options.axes is None else options.axes)
    extras, labels = options.extras, data.labels
    prediction = model.predict(case, probabilities=options.probabilities, uncertainty=extras.uncertainty)
    folder, grid = target.mask.parent, Grid(case.geometry, Path(case.source))
    if options.overlays:
        for name, image, label in cut_planes(case, prediction):
            write_overlay(folder / "overlays" / f"{name}.png", image, label)
    if options.probabilities and prediction.probabilities is not None:
        path = folder / "probabilities" / probabilities_name(target.pair.image, case.name)
        write_probabilities(path, prediction.probabilities.astype(np.float16), grid=grid)
    write_extras(target, case, prediction, extras)
    write_mask(target.mask, labels.decode(prediction.label), values=labels.values, grid=grid)


def list_failures(result: BatchResult) -> DataError | None:
    """Return the error that ends a batch in which something failed; None if all went well."""
    total = len(result.written) + len(result.failed)
    reasons = "\n".join(result.failed.values())
    return DataError(f"{len(result.failed)} of {total} images failed:\n{reasons}") if result.failed else None
