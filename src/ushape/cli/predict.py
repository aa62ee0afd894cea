"""`ushape predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import listening, print_json
from ushape.core.events import count

Flag = typer.Option


def predict(
    model: Annotated[Path, typer.Argument(help="Model file, or the run folder it lies in.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An image, or a folder of images.")],
    output: Annotated[Path, Flag("-o", "--output", help="Folder for the masks (or a file, for one image).")],
    mirror: Annotated[bool, Flag("--mirror", help="Average over flips: slower, often a little better.")] = False,
    threshold: Annotated[float | None, Flag(help="Probability from which a pixel is foreground.")] = None,
    overlays: Annotated[bool, Flag("--overlays", help="Also draw each mask on its image.")] = False,
    probabilities: Annotated[bool, Flag("--probabilities", help="Also write the probability of every class.")] = False,
    skip_existing: Annotated[bool, Flag("--skip-existing", help="Leave finished images alone.")] = False,
    axes: Annotated[str | None, Flag(help="Axes of TIFFs that do not say, as ZYX; else as trained.")] = None,
    device: Annotated[str, Flag(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, Flag("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Predict the masks of one image or many."""
    from ushape.workflows.infer import OutputOptions, list_failures, predict_files
    from ushape.workflows.model import load

    loaded = load(model, device=device, mirror=mirror, threshold=threshold)
    options = OutputOptions(overlays, probabilities, skip_existing, axes)
    if as_json:
        result = predict_files(loaded, source, output, options)
        record = {"written": result.written, "skipped": result.skipped, "failed": result.failed}
        print_json(
            {key: value if isinstance(value, dict) else [str(v) for v in value] for key, value in record.items()}
        )
    else:
        with listening() as listener:
            result = predict_files(loaded, source, output, options, listener)
        skipped = f", {len(result.skipped)} were there already" if result.skipped else ""
        typer.echo(f"{count(len(result.written), 'mask')} in {output}{skipped}")
    if (error := list_failures(result)) is not None:
        raise error
