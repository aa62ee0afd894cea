"""The program `ushape`: one verb per file, errors told in one line."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from ushape.cli import compress, data, demo, doctor, evaluate, explain, export, info, plan, predict, train
from ushape.core.errors import Interrupted, UshapeError

app = typer.Typer(
    name="ushape",
    help="U-Net segmentation from a folder of images to a shipped model, on the machine you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Add --debug to any verb to see the traceback of an error.",
)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")
app.command("plan")(plan.plan)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("compress")(compress.compress)
app.command("explain")(explain.explain)
app.command("info")(info.info)
app.command("doctor")(doctor.doctor)


def version(value: bool) -> bool:
    """Print the version and stop, if asked to."""
    if value:
        from importlib.metadata import version as installed

        typer.echo(f"ushape {installed('ushape')}")
        raise typer.Exit
    return value


@app.callback()
def options(
    show_version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Options of the program itself."""


SPINS = "1000"
"""How often a waiting thread looks again before it sleeps: some microseconds, as long as most waits of a small net."""


def let_threads_sleep() -> None:
    """Make threads that wait for each other spin for a moment only, then sleep. It must be said before torch is loaded.

    Spinning longer gains nothing on an idle machine, and beside other work it costs time and CPU seconds; sleeping at
    once costs a small net a third of its speed (docs/decisions/0009-threads-that-sleep.md). What a user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def main(arguments: list[str] | None = None) -> None:
    """Run the program; exit code 0 if all went well, 1 if it failed, 2 if it was called wrongly, 130 if stopped."""
    let_threads_sleep()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        app(args=arguments, prog_name="ushape")
    except UshapeError as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"{error}\n" if isinstance(error, Interrupted) else f"error: {error}\n")
        sys.exit(error.exit_code)
