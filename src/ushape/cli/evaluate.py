"""`ushape evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import print_json, tell_wait

Flag = typer.Option


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder of predicted masks.")],
    truth: Annotated[Path, typer.Argument(help="Folder of true masks, or the data set they belong to.")],
    output: Annotated[Path | None, Flag("-o", "--output", help="Folder for scores.csv, JSON and report.html.")] = None,
    against: Annotated[
        Path | None, Flag("--against", help="Other predictions of the same cases, to compare with case by case.")
    ] = None,
    foreground: Annotated[bool, Flag("--foreground", help="Score every label above 0 as one class.")] = False,
    instances: Annotated[
        bool, Flag("--instances", help="Masks number their objects: count how many were found (AP, AJI).")
    ] = False,
    components: Annotated[
        bool, Flag("--components", help="With --instances: each connected piece of a prediction is an object.")
    ] = False,
    tolerance: Annotated[
        float | None, Flag("--tolerance", help="Of the surface Dice (NSD), in mm, or px. [default: 1 mm, 2 px]")
    ] = None,
    boundary: Annotated[
        float | None,
        Flag("--boundary-tolerance", help="Of the boundary F1, in mm or px. [default: 0.75 % of the diagonal]"),
    ] = None,
    model: Annotated[
        Path | None, Flag("--model", help="Model or run whose classes name the values, where the truth has no names.")
    ] = None,
    only_predicted: Annotated[
        bool, Flag("--only-predicted", help="Leave true masks without a prediction out; else they are refused.")
    ] = False,
    as_json: Annotated[bool, Flag("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Compare predicted masks with true ones, case by case."""
    tell_wait(f"comparing the masks of {predictions} with those of {truth}")
    from ushape.measure.formats import to_json
    from ushape.workflows.evaluate import EvaluateRequest, evaluate_folder
    from ushape.workflows.judge import Measuring

    measuring = Measuring(foreground, instances, components, tolerance, boundary)
    request = EvaluateRequest(predictions, truth, output, against, measuring, model, only_predicted)
    found = evaluate_folder(request)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        print_json(to_json(found.table, found.comparison))
        return
    from ushape.cli.tables import show_evaluation

    show_evaluation(request, found)
    if output is not None:
        typer.echo(f"report: {output / 'report.html'}")
