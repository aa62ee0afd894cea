"""A model's file of any kind, and all that is needed to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import ConfigError
from ushape.core.exported import ExportPrecision
from ushape.core.model_file import read_header
from ushape.plan.recipe import Recipe, read_file, read_recipe
from ushape.predict.exported import is_exported, read_export
from ushape.predict.torch_engine import default_precision
from ushape.train.probe import choose_device


@dataclass(frozen=True)
class Source:
    """A model's file and all that is needed to run it.

    Attributes:
        foreign: whether the recipe is the user's, since the file was not made by ushape.
    """

    file: Path
    recipe: Recipe
    precision: ExportPrecision
    device: str
    foreign: bool = False


def read_source(file: Path, device: str, recipe: Path | None) -> Source:
    """Read what a file says of itself, or what the user says of it.

    Raises:
        ModelFileError: the file is damaged, or no model.
        ConfigError: a recipe is given for a file that has its own.
    """
    if recipe is not None:
        if not is_exported(file):
            raise ConfigError(f"--recipe {recipe}: {file} has a recipe of its own; leave the option out")
        return Source(file, read_recipe(read_file(recipe), str(recipe)), "fp32", "cpu", foreign=True)
    if is_exported(file):
        header, facts = read_export(file)
        return Source(file, read_recipe(header.recipe, str(file)), facts.precision, "cpu")
    where = choose_device(device)
    precision: ExportPrecision = "bf16" if default_precision("cpu") == "bf16" else "fp32"
    return Source(file, read_recipe(read_header(file).recipe, str(file)), precision, where)
