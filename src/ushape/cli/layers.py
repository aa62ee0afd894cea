"""The layer table of a preset and the figure of a network, for `ushape info`."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ushape.cli.show import print_json
from ushape.core.errors import ConfigError, DataError, OutputError, ShapeError

if TYPE_CHECKING:
    from ushape.nets.config import UNetConfig
    from ushape.nets.cost import Cost

DEFAULT_SIZE = {2: 256, 3: 64}
WIDTH = 130  # columns of text: the table is not folded, a narrow terminal folds it itself
PUBLISHED_SIZE = {"unet-2015": 572}
"""Sizes of networks that do not take any size."""


def parse_size(text: str, name: str, ndim: int) -> tuple[int, ...]:
    """Read "64,64,64"; without a text take a size that the preset is usual with.

    >>> parse_size("64,96", "tiny", 2), parse_size("", "unet-2015", 2)
    ((64, 96), (572, 572))
    """
    if not text:
        return (PUBLISHED_SIZE.get(name, DEFAULT_SIZE[ndim]),) * ndim
    parts = text.split(",")
    if len(parts) != ndim or not all(part.strip().isdigit() for part in parts):
        example = ",".join([str(DEFAULT_SIZE[ndim])] * ndim)
        raise ConfigError(f"--size {text}: expected {ndim} whole numbers, one per axis; for instance {example}")
    return tuple(int(part) for part in parts)


def choose_preset(name: str, channels: int, classes: int, ndim: int) -> UNetConfig:
    """Return the config of a preset; 0 axes for as many as it is known for."""
    from ushape.nets.presets import preset

    return preset(name, in_channels=channels, classes=classes, ndim=None if ndim == 0 else 2 if ndim == 2 else 3)


def print_preset(name: str, config: UNetConfig, size: str, diagram: Path | None, *, as_json: bool) -> None:
    """Print what a preset is made of and what it costs at one size, and draw it if asked to; no weight is made."""
    from ushape.nets.cost import measure_cost

    space = parse_size(size, name, config.ndim)
    cost = measure_cost(config, space)
    totals = {
        "preset": name,
        "size": list(space),
        "padded": list(cost.space),
        "parameters": cost.parameters,
        "trainable": cost.trainable,
        "macs": cost.macs,
        "receptive_field": list(cost.receptive_field),
        "activation_bytes": cost.activation_bytes,
    }
    if diagram:
        write_diagram(config, space, diagram, name)
    if as_json:
        print_json({**totals, "layers": [asdict(row) for row in cost.rows], "config": config.model_dump(mode="json")})
        return
    title = f"{name}: {config.in_channels} channels, {config.classes} classes, {show_sizes(space)}"
    if cost.space != space:
        title += f", which the net pads to {show_sizes(cost.space)}"
    print_table(title, cost)
    if diagram:
        typer.echo(f"diagram: {diagram}")


def print_table(title: str, cost: Cost) -> None:
    """Print one line per layer, and the totals."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=None)
    for head in ("stage", "operation", "output", "parameters", "MACs", "sees"):
        table.add_column(head, justify="left" if head in ("stage", "operation") else "right", no_wrap=True)
    for row in cost.rows:
        cells = (show_sizes(row.shape[1:]), f"{row.parameters:,}", show_many(row.macs), show_sizes(row.receptive_field))
        table.add_row(row.stage, row.operation, *cells)
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
    console.print(
        f"{cost.parameters:,} parameters ({cost.trainable:,} trainable), {show_many(cost.macs)} MACs, "
        f"sees {show_sizes(cost.receptive_field)} voxels, training keeps about "
        f"{cost.activation_bytes / 2**20:,.0f} MB per image in float32",
        highlight=False,
    )


def draw_recipe(recipe: str, where: Path, size: str, diagram: Path) -> None:
    """Draw the network of a recipe, at the size of its prediction windows if none is given.

    Raises:
        DataError: there is no recipe.
    """
    if not recipe:
        raise DataError(f"{where}: a data set has no network to draw; give a model, a run folder or preset:NAME")
    from ushape.plan.recipe import read_recipe

    read = read_recipe(recipe, str(where))
    space = parse_size(size, "", read.net.ndim) if size else read.predict.window.size
    write_diagram(read.net, space, diagram, where.name)


def write_diagram(config: UNetConfig, space: tuple[int, ...], path: Path, title: str) -> None:
    """Draw a network into a file.

    Raises:
        ConfigError: the file is to be another thing than SVG, or the network does not take the size.
        OutputError: the file cannot be written.
    """
    from ushape.core.files import write_text
    from ushape.explain.diagram import draw_network

    if path.suffix.lower() != ".svg":
        raise ConfigError(f"--diagram {path}: expected a file that ends in .svg; browsers and editors open it")
    try:
        write_text(path, draw_network(config, space, title=title))
    except ShapeError as error:
        raise ConfigError(f"--size {show_sizes(space)}: {error}") from error
    except OutputError as error:
        raise OutputError(f"--diagram {path}: cannot be written ({error.__cause__}); choose another place") from error


def show_sizes(sizes: tuple[float | int, ...]) -> str:
    """Write sizes as 64x64; "all" where a voxel sees the whole image.

    >>> show_sizes((32.0, math.inf))
    '32xall'
    """
    return "x".join("all" if math.isinf(size) else f"{size:g}" for size in sizes)


def show_many(count: int) -> str:
    """Write a large number with its unit.

    >>> show_many(1_234_000_000), show_many(512)
    ('1.23 G', '512')
    """
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
