"""`ushape data`: check a data set, fetch a public one, make one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ushape.cli.show import print_json

if TYPE_CHECKING:
    from ushape.io.sources import Source

Flag = typer.Option
app = typer.Typer(help="Check a data set, fetch a public one, or make one.", no_args_is_help=True)


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="Data set: a folder with images/ and masks/, dataset.json or a CSV.")],
    fix: Annotated[Path | None, Flag(help="Also write a copy, repaired where that needs no guess, here.")] = None,
    axes: Annotated[str, Flag(help="Axes of TIFFs that do not say, as ZYX or CYX.")] = "",
    strict: Annotated[bool, Flag("--strict", help="A mask on another grid than its image is an error.")] = False,
    as_json: Annotated[bool, Flag("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Read every file and list what is wrong; exit code 1 if a file is faulty (instance maps: train --foreground)."""
    from ushape.core.events import count
    from ushape.io.faults import check_dataset
    from ushape.io.findings import gather
    from ushape.io.repair import fix_dataset
    from ushape.prep.label_grid import resample_label_onto

    faults = check_dataset(data, axes=axes, strict=strict)
    repairs = fix_dataset(data, fix, axes=axes, regrid=resample_label_onto) if fix else []
    errors = sum(fault.severity == "error" for fault in faults)
    if as_json:
        print_json([{**asdict(fault), "file": str(fault.file)} for fault in faults])
    else:
        for fault in gather(faults):
            typer.echo(f"{fault.severity}: {fault}")
        found = f"{count(errors, 'error')}, {count(len(faults) - errors, 'warning')}"
        typer.echo(f"{data}: {found if faults else 'nothing wrong'}")
        for repair in repairs:
            typer.echo(f"repaired {repair}" if repair.done else str(repair))
        if fix:
            remaining = check_dataset(_same_place(data, fix), axes=axes, strict=strict)
            left = count(sum(fault.severity == "error" for fault in remaining), "error")
            typer.echo(f"{fix}: {sum(bool(repair.done) for repair in repairs)} repaired, {left} remain")
    raise typer.Exit(1 if errors else 0)


def _same_place(data: Path, copy: Path) -> Path:
    """Return what a copy is called by, where the original may be called by its table."""
    return copy if data.is_dir() else copy / data.name


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="isbi2012, dsb2018, msd:Task04_Hippocampus, ...")],
    output: Annotated[Path, Flag("-o", "--output", help="New folder for the data set.")],
    mirror: Annotated[str, Flag(help="Folder or address that stands in for the network.")] = "",
    yes: Annotated[bool, Flag("--yes", help="Accept the licence without being asked.")] = False,
) -> None:
    """Fetch a public data set, after its licence was accepted."""
    from ushape.io.fetch import fetch_dataset

    def accept(source: Source) -> bool:
        typer.echo(f"{source.title}\nlicence: {source.licence}")
        return yes or typer.confirm("Go on?")

    folder = fetch_dataset(name, output, accept=accept, mirror=mirror)
    typer.echo(f"{name} in {folder}; next: ushape data check {folder}")


@app.command()
def synth(
    kind: Annotated[str, typer.Argument(help="What to make: nuclei or vessels (2D), or phantom (CT-like, 3D).")],
    output: Annotated[Path, Flag("-o", "--output", help="New folder for the data set.")],
    count: Annotated[int, Flag(min=1, help="How many images.")] = 24,
    size: Annotated[int, Flag(min=32, help="Rows and columns of each.")] = 256,
    depth: Annotated[int | None, Flag(min=8, help="Slices of a phantom. [default: 32]")] = None,
    spacing: Annotated[
        str, Flag(metavar="Z,Y,X", help="Of a phantom's voxels, in mm; the body fills the width. [default: 3,1,1]")
    ] = "",
    seed: Annotated[int, Flag(min=0, help="Seed of the first image.")] = 0,
) -> None:
    """Make a synthetic data set."""
    from ushape.core.config import choose
    from ushape.core.errors import ConfigError, OutputError
    from ushape.io.phantom import write_phantoms
    from ushape.io.synthetic import write_nuclei
    from ushape.io.vessels import write_vessels

    space, voxel = (depth or 32, size, size), parse_spacing(spacing or "3,1,1")
    makers: dict[str, Callable[[], None]] = {
        "nuclei": lambda: write_nuclei(output, count=count, seed=seed, size=(size, size)),
        "vessels": lambda: write_vessels(output, count=count, seed=seed, size=(size, size)),
        "phantom": lambda: write_phantoms(output, count=count, seed=seed, size=space, spacing=voxel),
    }
    make = choose(kind, makers, "data set")
    if kind != "phantom" and (depth or spacing):
        option = f"--depth {depth}" if depth else f"--spacing {spacing}"
        raise ConfigError(f"{option}: expected only with phantom, got {kind}, which are pictures; leave it out")
    if output.exists() and any(output.iterdir()):
        raise OutputError(f"{output}: not empty; choose another folder with -o")
    make()
    typer.echo(f"{count} images in {output}; next: ushape train {output}")


def parse_spacing(text: str) -> tuple[float, float, float]:
    """Read the size of a voxel along slices, rows and columns.

    >>> parse_spacing("5,0.8,0.8")
    (5.0, 0.8, 0.8)
    """
    from ushape.core.errors import ConfigError

    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        z = y = x = math.nan
    if not (math.inf > z > 0 and math.inf > y > 0 and math.inf > x > 0):
        raise ConfigError(f"--spacing {text}: expected three numbers above 0, in mm; for instance 3,1,1")
    return z, y, x
