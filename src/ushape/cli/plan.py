"""`ushape plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import listening, print_json
from ushape.core.config import parse_assignment

Flag = typer.Option


def plan(
    data: Annotated[Path, typer.Argument(help="Folder with images/ and masks/ (or labels/).")],
    output: Annotated[Path | None, Flag("-o", "--output", help="Write the recipe to this file.")] = None,
    recipe: Annotated[Path | None, Flag(help="Recipe file; what it names goes before the plan.")] = None,
    foreground: Annotated[bool, Flag("--foreground", help="Take every label above 0 as one class.")] = False,
    axes: Annotated[str | None, Flag(help="Axes of TIFFs that do not say, as ZYX or CYX.")] = None,
    changes: Annotated[list[str] | None, Flag("--set", help="Any field of the recipe: net.up=transpose.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print fingerprint and recipe as JSON.")] = False,
) -> None:
    """Look at a data set and print what was decided for it, each choice with its reason; -o writes the whole recipe."""
    from ushape.core.events import ignore_events
    from ushape.core.files import write_text
    from ushape.workflows.design import FitRequest, design

    fields = {"data.axes": axes} if axes is not None else {}
    request = FitRequest(data, Path(), recipe, fields | dict(map(parse_assignment, changes or [])), foreground)
    if as_json:
        designed = design(request, ignore_events)
        fingerprint, chosen = designed.data.fingerprint.model_dump(), designed.recipe.model_dump(mode="json")
        print_json({"fingerprint": fingerprint, "recipe": chosen, "reasons": designed.reasons})
    else:
        with listening() as listener:
            designed = design(request, listener)
        typer.echo(designed.decisions, nl=False)
        typer.echo(f"recipe: {output}" if output else "all other settings, with their reasons: -o recipe.toml")
    if output is not None:
        write_text(output, designed.text)
