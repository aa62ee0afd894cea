"""`ushape demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import listening, print_json

Flag = typer.Option


def demo(
    output: Annotated[Path, Flag("-o", "--output", help="Folder for data, run, predictions and report.")] = Path(
        "runs/demo"
    ),
    minutes: Annotated[float, Flag(help="Time for training.")] = 1.0,
    seed: Annotated[int, Flag(min=0, help="Seed of the images and the training.")] = 0,
    as_json: Annotated[bool, Flag("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make synthetic nuclei, train on them, predict others, measure and report: about two minutes."""
    from ushape.core.events import ignore_events
    from ushape.workflows.demo import run_demo

    if as_json:
        print_json(run_demo(output, minutes, seed, ignore_events).as_json())
        return
    with listening() as listener:
        result = run_demo(output, minutes, seed, listener)
    typer.echo(result.text)
