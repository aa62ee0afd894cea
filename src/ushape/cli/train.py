"""`ushape train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ushape.cli.show import listening, print_line
from ushape.core.config import parse_assignment
from ushape.core.errors import ConfigError
from ushape.core.model_file import read_header

if TYPE_CHECKING:
    from ushape.workflows.design import FitRequest

Flag = typer.Option

FIELDS = {
    "epochs": "train.epochs",
    "minutes": "train.minutes",
    "batch": "patches.batch",
    "lr": "train.optim.lr",
    "seed": "train.seed",
    "patience": "train.patience",
    "device": "train.device",
    "workers": "train.workers",
    "threads": "train.threads",
    "axes": "data.axes",
    "strict": "data.strict",
    "fold": "data.fold",
    "folds": "data.folds",
    "start": "train.start",
    "devices": "train.devices",
    "loggers": "train.loggers",
    "probe": "train.probe_gradients",
}
"""Which field of the recipe a flag sets."""


def train(
    data: Annotated[Path | None, typer.Argument(help="Folder with images/ and masks/ (or labels/).")] = None,
    output: Annotated[Path | None, Flag("-o", "--output", help="Run folder; default runs/NAME-DATE-TIME.")] = None,
    recipe: Annotated[Path | None, Flag(help="Recipe file (TOML); what it names goes before the plan.")] = None,
    epochs: Annotated[int | None, Flag(min=1, help="Number of epochs, instead of a time.")] = None,
    minutes: Annotated[float | None, Flag(help="Time for the whole command, in minutes.")] = None,
    batch: Annotated[int | None, Flag(min=1, help="Patches per step.")] = None,
    lr: Annotated[float | None, Flag(help="Highest learning rate.")] = None,
    seed: Annotated[int | None, Flag(min=0, help="Seed of split, weights and batches.")] = None,
    patience: Annotated[int | None, Flag(min=1, help="Validations without gain before it stops early.")] = None,
    fold: Annotated[str | None, Flag(metavar="K|all|none", help="Hold out fold K, each, or none.")] = None,
    folds: Annotated[int | None, Flag(min=2, help="Number of folds; 5 if not given.")] = None,
    start: Annotated[str | None, Flag("--from", metavar="MODEL", help="Start from its weights.")] = None,
    foreground: Annotated[bool, Flag("--foreground", help="Train every label above 0 as one class.")] = False,
    device: Annotated[str | None, Flag(help="auto, cpu, cuda or mps.")] = None,
    devices: Annotated[int | None, Flag(min=1, help="Processes that share each batch, one per GPU.")] = None,
    workers: Annotated[int | None, Flag(min=0, help="Processes that cut patches ahead.")] = None,
    threads: Annotated[int | None, Flag(min=0, help="CPU threads; 0 for all cores.")] = None,
    axes: Annotated[str | None, Flag(help="Axes of TIFFs that do not say, as ZYX or CYX.")] = None,
    strict: Annotated[bool, Flag("--strict", help="Refuse masks on another grid than their image's.")] = False,
    probe: Annotated[bool, Flag("--probe-gradients", help="Record what reaches each layer, and its faults.")] = False,
    loggers: Annotated[list[str] | None, Flag("--log", help="Also tensorboard or mlflow; may be repeated.")] = None,
    changes: Annotated[list[str] | None, Flag("--set", help="Any field of the recipe: net.up=transpose.")] = None,
    resume: Annotated[Path | None, Flag(help="Go on with this run folder.")] = None,
    prepare_only: Annotated[bool, Flag("--prepare-only", help="Plan and prepare the cases, and stop there.")] = False,
    as_json: Annotated[bool, Flag("--json", help="Print events as JSON lines; the last one is the result.")] = False,
) -> None:
    """Train a model on a folder of images and masks."""
    flags: dict[str, Any] = {
        "epochs": epochs,
        "minutes": minutes,
        "batch": batch,
        "lr": lr,
        "seed": seed,
        "patience": patience,
    }
    flags |= {"device": device, "workers": workers, "threads": threads, "axes": axes, "fold": fold, "folds": folds}
    flags |= {"start": start, "devices": devices, "loggers": loggers or None, "strict": strict or None}
    flags |= {"probe": probe or None}
    fields = collect_changes({name: value for name, value in flags.items() if value is not None}, changes or [])
    if resume is not None:
        if data or output or recipe or foreground or fields or prepare_only:
            raise ConfigError(f"--resume {resume}: goes on with the run as it was begun; leave out all other options")
        _resume(resume, as_json=as_json)
    elif data is None:
        raise ConfigError("ushape train: expected a folder with images/ and masks/, or --resume RUN")
    else:
        run = _prepare if prepare_only else _train
        run(_make_request(data, output, recipe, fields, foreground=foreground), as_json=as_json)


def collect_changes(flags: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Turn flags and assignments into recipe fields; assignments have the last word.

    >>> collect_changes({"epochs": 3}, ["net.up=linear"])
    {'train.epochs': 3, 'train.minutes': 'none', 'net.up': 'linear'}
    """
    if "epochs" in flags and "minutes" in flags:
        raise ConfigError("--epochs and --minutes: expected one of them; drop the other")
    fields = {FIELDS[name]: value for name, value in flags.items()}
    if "epochs" in flags:
        fields["train.minutes"] = "none"
    return fields | dict(parse_assignment(text) for text in assignments)


def _make_request(
    data: Path, output: Path | None, recipe: Path | None, fields: dict[str, Any], *, foreground: bool
) -> FitRequest:
    from ushape.train.run_folder import default_output
    from ushape.workflows.design import FitRequest

    if output is None and (fields.get("train.devices", 1), fields.get("train.nodes", 1)) != (1, 1):
        raise ConfigError("--devices: expected a run folder that all processes know, got none; give one with -o")
    return FitRequest(data, output or default_output(data), recipe, fields, foreground)


def _train(request: FitRequest, *, as_json: bool) -> None:
    from ushape.workflows.fit import fit

    with listening(as_json=as_json) as listener:
        run = fit(request, listener)
    _finish(run.path, as_json=as_json)


def _prepare(request: FitRequest, *, as_json: bool) -> None:
    from ushape.workflows.prepare import prepare_only

    with listening(as_json=as_json) as listener:
        prepared = prepare_only(request, listener)
    if as_json:
        print_line({"event": "result", "prepared": str(prepared)})


def _resume(path: Path, *, as_json: bool) -> None:
    from ushape.workflows.fit import resume

    with listening(as_json=as_json) as listener:
        run = resume(path, listener)
    _finish(run.path, as_json=as_json)


def _finish(run: Path, *, as_json: bool) -> None:
    """Say how good the model is and where everything lies."""
    from ushape.train.ranks import own_rank

    if own_rank():  # the first of several processes says it
        return
    model, report = run / "model.safetensors", run / "report.html"
    score = read_header(model).score or {}
    if as_json:
        print_line({"event": "result", "run": str(run), "model": str(model), "report": str(report), "score": score})
        return
    if score.get("mean") is not None:
        of_folds = f", over {len(score['folds'])} folds" if "folds" in score else ""
        typer.echo(f"best validation Dice: {score['mean']:.4f}{of_folds}{_tell_masks(score.get('masks'))}")
    typer.echo(f"model: {model}\nreport: {report}\nnext: ushape predict {model} IMAGES -o OUT")


def _tell_masks(dice: float | None) -> str:
    """Name the second score of a model, which is that of its report."""
    return "" if dice is None else f" on the net's grid; of the masks that predict makes: {dice:.4f}"
