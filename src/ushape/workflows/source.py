"""A model's file of any kind, and all that is needed to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import ConfigError, DataError
from ushape.core.exported import ExportPrecision
from ushape.core.model_file import HUB, MODEL_FILE, read_header
from ushape.plan.usage import Usage, make_usage, read_usage
from ushape.predict.exported import is_exported, read_export


@dataclass(frozen=True)
class Source:
    """A model's file and all that is needed to run it.

    Attributes:
        usage: how it is applied.
        foreign: whether the recipe is the user's, since the file was not made by ushape.
    """

    file: Path
    usage: Usage
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
        return Source(file, _read_foreign(file, recipe), "fp32", "cpu", foreign=True)
    if is_exported(file):
        header, facts = read_export(file)
        return Source(file, read_usage(header.recipe, str(file)), facts.precision, "cpu")
    from ushape.predict.torch_engine import default_precision
    from ushape.train.probe import choose_device

    where = choose_device(device)
    precision: ExportPrecision = "bf16" if default_precision("cpu") == "bf16" else "fp32"
    return Source(file, read_usage(read_header(file).recipe, str(file)), precision, where)


def _read_foreign(file: Path, recipe: Path) -> Usage:
    """Read a recipe of the user's: all of it is checked, and what it leaves out has its default."""
    if not is_exported(file):
        raise ConfigError(f"--recipe {recipe}: {file} has a recipe of its own; leave the option out")
    from ushape.plan.recipe import read_file, read_recipe

    whole = read_recipe(read_file(recipe), str(recipe))
    return make_usage(whole.model_dump(mode="json"), str(recipe))


def model_path(path: str | Path) -> Path:
    """Return a model file's own path, that of the model in a run folder, or that of one pulled from a hub.

    Raises:
        DataError: the run has no model, since it ended before its first validation or lost it later.
    """
    if str(path).startswith(HUB):
        from ushape.workflows.hub import pull_from_hub

        return pull_from_hub(str(path))
    if not Path(path).is_dir():
        return Path(path)
    model = Path(path) / MODEL_FILE
    if (Path(path) / "recipe.toml").is_file() and not model.is_file():
        is_lost = any((Path(path) / name).is_file() for name in ("metrics.csv", "report.html"))
        got = f"one whose {MODEL_FILE} is missing" if is_lost else "one that ended before its first validation"
        raise DataError(f"{path}: expected a run with a model, got {got}; see what to do with: ushape doctor {path}")
    return model
