"""`ushape predict`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.imports import without_collecting
from ushape.cli.show import listening, print_json, tell_wait
from ushape.core.events import Message, count

Flag = typer.Option
FORMATS = "Of the masks: png, tif, nii.gz, nii, nrrd, mha, or dcm for DICOM-SEG; else each image's own."


class SegmentsKind(StrEnum):
    """How DICOM-SEG holds segments: each by itself, or as one map of labels."""

    BINARY = "BINARY"
    LABELMAP = "LABELMAP"


class InstanceMethod(StrEnum):
    """How objects are told apart."""

    NONE = "none"
    COMPONENTS = "components"
    WATERSHED = "watershed"


def predict(
    model: Annotated[Path, typer.Argument(help="Model file, or the run folder it lies in.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An image, a DICOM series, or a folder of them.")],
    output: Annotated[Path, Flag("-o", "--output", help="Folder for the masks (or a file, for one image).")],
    others: Annotated[
        list[Path] | None, Flag("--with", metavar="MODEL", help="Average with this model too; may be given repeatedly.")
    ] = None,
    mirror: Annotated[bool, Flag("--mirror", help="Average over flips: slower, often a little better.")] = False,
    threshold: Annotated[float | None, Flag(help="Probability from which a pixel is foreground.")] = None,
    overlays: Annotated[bool, Flag("--overlays", help="Also draw each mask on its image.")] = False,
    probabilities: Annotated[bool, Flag("--probabilities", help="Also write the probability of every class.")] = False,
    uncertainty: Annotated[
        bool, Flag("--uncertainty", help="Also write entropy; with --mirror or --with also disagreement.")
    ] = False,
    instances: Annotated[
        InstanceMethod, Flag(help="Also number objects: all that touches is one (components), or split (watershed).")
    ] = InstanceMethod.NONE,
    postprocess: Annotated[
        str, Flag(help="auto: as training chose; none; or largest, fill_holes, min_size=30mm, smooth=1.5, with commas.")
    ] = "auto",
    skip_existing: Annotated[
        bool, Flag("--skip-existing", help="Leave images alone of which all that is wanted is there.")
    ] = False,
    axes: Annotated[str | None, Flag(help="Axes of TIFFs that do not say, as ZYX; else as trained.")] = None,
    series: Annotated[str, Flag(help="Which DICOM series, by UID, its end, or a part of its description.")] = "",
    ending: Annotated[str, Flag("--format", help=FORMATS)] = "",
    segments: Annotated[SegmentsKind, Flag(help="Kind of DICOM-SEG.", case_sensitive=False)] = SegmentsKind.BINARY,
    device: Annotated[str, Flag(help="auto, cpu, cuda or mps.")] = "auto",
    engine: Annotated[
        str, Flag(help="torch, onnx or openvino; own: what the file is made for; auto: measure.")
    ] = "own",
    recipe: Annotated[Path | None, Flag(help="For an ONNX file not made by ushape: preparation and classes.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Predict the masks of one image or many."""
    tell_wait(f"reading the model {model}")
    with without_collecting():
        from ushape.workflows.deliver import OutputOptions
        from ushape.workflows.extras import Extras
        from ushape.workflows.foreign import Foreign
        from ushape.workflows.infer import list_failures, predict_files
        from ushape.workflows.model import load

    models = [each if recipe is None else Foreign(each, recipe) for each in (model, *(others or []))]
    loaded = load(models, device=device, mirror=mirror, threshold=threshold, postprocess=postprocess, engine=engine)
    extras = Extras(uncertainty, instances.value)
    options = OutputOptions(
        overlays, probabilities, skip_existing, axes, extras, series=series, ending=ending, segments=segments.value
    )
    if as_json:
        result = predict_files(loaded, source, output, options)
        record = {"written": result.written, "skipped": result.skipped, "failed": result.failed}
        print_json(
            {key: value if isinstance(value, dict) else [str(v) for v in value] for key, value in record.items()}
        )
    else:
        with listening() as listener:
            if loaded.told:
                listener(Message(loaded.told))
            result = predict_files(loaded, source, output, options, listener)
        skipped = f", {len(result.skipped)} were there already" if result.skipped else ""
        typer.echo(f"{count(len(result.written), 'mask')} in {output}{skipped}")
    if (error := list_failures(result)) is not None:
        raise error
