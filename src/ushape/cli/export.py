"""`ushape export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import listening, print_json
from ushape.core.events import ignore_events
from ushape.core.exported import ExportPrecision

Flag = typer.Option
PRECISIONS: dict[str, ExportPrecision] = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "int8": "int8"}


def export(
    model: Annotated[Path, typer.Argument(help="Model file, or the run folder it lies in.")],
    to: Annotated[str, Flag("--to", help="onnx or openvino.")],
    precision: Annotated[str, Flag(help="fp32, fp16, bf16 (openvino only) or int8.")] = "fp32",
    calibrate: Annotated[Path | None, Flag(metavar="DATA", help="Data set with masks that int8 is fitted to.")] = None,
    max_drop: Annotated[float, Flag(min=0.0, help="Points of Dice that int8 may lose.")] = 0.3,
    output: Annotated[Path | None, Flag("-o", "--output", help="The file; default beside the model.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a model as a file for ONNX Runtime or OpenVINO, checked against the model."""
    from ushape.core.config import choose
    from ushape.workflows.export import ExportRequest
    from ushape.workflows.export import export as run

    chosen = choose(precision, PRECISIONS, "precision")
    request = ExportRequest(model, to, chosen, output, calibrate, max_drop)
    if as_json:
        path, facts = run(request, ignore_events)
        print_json({"file": str(path), "bytes": path.stat().st_size, **asdict(facts)})
        return
    with listening() as listener:
        path, facts = run(request, listener)
    typer.echo(f"{path}\nnext: ushape predict {path} IMAGES -o OUT")
