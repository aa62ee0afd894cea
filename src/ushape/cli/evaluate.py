"""`ushape evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import print_json

Flag = typer.Option


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder of predicted masks.")],
    truth: Annotated[Path, typer.Argument(help="Folder of true masks, or the data set they belong to.")],
    output: Annotated[Path | None, Flag("-o", "--output", help="Folder for scores.csv, JSON and report.html.")] = None,
    foreground: Annotated[bool, Flag("--foreground", help="Score every label above 0 as one class.")] = False,
    as_json: Annotated[bool, Flag("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Compare predicted masks with true ones, case by case."""
    from ushape.measure.formats import to_json
    from ushape.workflows.api import evaluate as measure

    table = measure(predictions, truth, output, foreground=foreground)
    if as_json:
        print_json(to_json(table))
    else:
        from rich.console import Console

        from ushape.cli.tables import score_table

        Console().print(score_table(table))
        if output is not None:
            typer.echo(f"report: {output / 'report.html'}")
