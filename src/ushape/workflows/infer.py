"""Predict: read images, apply a model, write masks on the images' own grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.errors import DataError, OutputError, UshapeError
from ushape.core.events import Listener, Message, Progress, count, ignore_events
from ushape.io.layouts import load_case
from ushape.io.listing import name_some
from ushape.workflows.deliver import OutputOptions, is_finished, write_outputs
from ushape.workflows.extras import check_extras
from ushape.workflows.model import Model
from ushape.workflows.notices import warn_unoriented, warn_unread
from ushape.workflows.stream import predict_streamed
from ushape.workflows.targets import Target, choose_targets, refuse_pictures

AXIS_NAMES = ("slices", "rows", "columns")
MOST_REASONS = 30


@dataclass(frozen=True)
class BatchResult:
    """What became of many images.

    Attributes:
        written: the masks.
        skipped: the images that were finished already.
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
        output: a folder; or, for a single image, the mask's own path if it is named like a mask.
    Raises:
        DataError: there is nothing to predict.
        OutputError: the output is the folder of the images, or cannot be written.
    """
    labels = model.usage.data.labels
    check_extras(options.extras, labels)
    targets = choose_targets(source, output, model.usage.data.channels, series=options.series, ending=options.ending)
    refuse_pictures(targets, model.usage.ndim)
    skipped = [target for target in targets if options.skip_existing and is_finished(target, labels, options)]
    todo = [target for target in targets if target not in skipped]
    if model.mirrored:
        along = " and ".join(AXIS_NAMES[-model.usage.ndim :][axis] for axis in model.mirrored)
        listener(Message(f"averaging over {2 ** len(model.mirrored)} mirror images, along {along} as in training"))
    warn_unread(source, [target.pair.image for target in targets], listener)
    warn_unoriented([path for target in todo for path in target.pair.images], listener)
    masks_only = replace(options, skip_existing=False) == OutputOptions()
    written, failed = [], {}
    for number, target in enumerate(todo):
        try:
            if not (masks_only and predict_streamed(model, target, listener)):
                _predict_file(model, target, options)
            written += target.files(labels)
        except OutputError:
            raise
        except UshapeError as error:
            failed[str(target.pair.image)] = str(error)
        listener(Progress("predict", number + 1, len(todo)))
    return BatchResult(tuple(written), tuple(target.pair.image for target in skipped), failed)


def _predict_file(model: Model, target: Target, options: OutputOptions) -> None:
    data = model.usage.data
    case = load_case(target.pair, channels=data.channels, axes=data.axes if options.axes is None else options.axes)
    want = options.extras.uncertainty
    prediction = model.predict(case, probabilities=options.probabilities, uncertainty=want)
    write_outputs(target, case, prediction, data.labels, options)


def list_failures(result: BatchResult) -> DataError | None:
    """Return the error that ends a batch in which something failed, equal reasons told once; None if all went well."""
    if not result.failed:
        return None
    by_reason: dict[str, list[str]] = {}
    for image, reason in result.failed.items():
        by_reason.setdefault(reason.replace(image, "\0", 1), []).append(image)
    lines = [reason.replace("\0", name_some(images), 1) for reason, images in by_reason.items()]
    more = f"\nand {count(len(lines) - MOST_REASONS, 'other reason')}" if len(lines) > MOST_REASONS else ""
    total = len(result.written) + len(result.failed)
    return DataError(f"{len(result.failed)} of {total} images failed:\n" + "\n".join(lines[:MOST_REASONS]) + more)
