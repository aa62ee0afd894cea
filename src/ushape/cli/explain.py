"""`ushape explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.show import print_json

Flag = typer.Option


def explain(
    model: Annotated[Path, typer.Argument(help="Model file, or the run folder it lies in.")],
    image: Annotated[Path, typer.Argument(help="One image.")],
    at: Annotated[str, Flag(help="The point to follow: row,col or z,y,x, from 0; else one inside what is found.")] = "",
    output: Annotated[Path | None, Flag("-o", "--output", help="Folder; explain-IMAGE if not given.")] = None,
    label: Annotated[Path | None, Flag(help="The true mask of the image.")] = None,
    class_name: Annotated[
        str, Flag("--class", help="The class to explain; else that of the point, or the commonest.")
    ] = "",
    gradients: Annotated[bool, Flag("--gradients", help="Also look at the gradients; needs --label.")] = False,
    as_json: Annotated[bool, Flag("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Look into a model while it works on an image: stages, one pixel, attention gates, what speaks for a class."""
    from ushape.io.images import split_name
    from ushape.workflows.explain import ExplainRequest, explain
    from ushape.workflows.facts import to_json
    from ushape.workflows.summary import tell_summary

    folder = output or Path(f"explain-{split_name(image)[0]}")
    found, page = explain(ExplainRequest(model, image, folder, label, at, class_name, gradients))
    if as_json:
        print_json({"page": str(page), **to_json(found)})
        return
    for sentence in tell_summary(found):
        typer.echo(sentence)
    typer.echo(f"page: {page}")
