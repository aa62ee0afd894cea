"""`ushape compress`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ushape.cli.show import listening, print_json
from ushape.core.errors import ConfigError
from ushape.core.events import Listener, ignore_events

Flag = typer.Option


def compress(
    model: Annotated[Path, typer.Argument(help="Model file, or the run folder it lies in.")],
    method: Annotated[str, typer.Argument(help="prune: cut channels; distil: teach a smaller net.")],
    data: Annotated[Path, Flag("--data", help="Data set to train on.")],
    output: Annotated[Path | None, Flag("-o", "--output", help="Run folder; default runs/NAME-DATE-TIME.")] = None,
    minutes: Annotated[float, Flag(help="Time for the training.")] = 2.0,
    keep: Annotated[float, Flag(help="Share of each level's channels that prune keeps.")] = 0.5,
    student: Annotated[str, Flag(help="The preset that distil teaches.")] = "tiny",
    changes: Annotated[list[str] | None, Flag("--set", help="Any field of the recipe.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a smaller model of a model, and say what that cost and gained."""
    from ushape.core.config import choose, parse_assignment
    from ushape.train.run_folder import default_output
    from ushape.workflows.compress import CompressRequest
    from ushape.workflows.distil import distil_model
    from ushape.workflows.prune import prune_model

    if not 0 < keep < 1:
        raise ConfigError(f"--keep {keep:g}: expected a share between 0 and 1, such as 0.5")
    methods: dict[str, Callable[[CompressRequest, Listener], Any]] = {
        "prune": lambda request, listener: prune_model(request, keep, listener),
        "distil": lambda request, listener: distil_model(request, student, listener),
    }
    run = choose(method, methods, "method")
    fields = dict(parse_assignment(text) for text in changes or [])
    request = CompressRequest(model, data, output or default_output(data), minutes, fields)
    if as_json:
        path, sizes = run(request, ignore_events)
        print_json({"run": str(path), "model": str(path / "model.safetensors"), "sizes": [asdict(s) for s in sizes]})
        return
    with listening() as listener:
        path, _ = run(request, listener)
    typer.echo(f"model: {path / 'model.safetensors'}\nnext: ushape export {path} --to onnx")
