"""`ushape info`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ushape.cli.show import print_json
from ushape.core.errors import ConfigError, DataError

Flag = typer.Option
BEST: dict[str, type] = {"epoch": int, "step": int, "val_dice": float}
"""What is told of the best epoch, and as what."""


TITLES = {
    "mean": "mean of the best validation, on the net's grid",
    "masks": "mean of the masks that predict makes, as in the report",
}
"""What the two scores of a model are called, where it has both."""


def info(
    what: Annotated[str, typer.Argument(metavar="MODEL|RUN|DATA|preset:NAME", help="What to look at.")],
    size: Annotated[str, Flag(help="Input size for preset:NAME and diagrams, as 256,256 or 64,64,64.")] = "",
    channels: Annotated[int, Flag(min=1, help="Input channels for preset:NAME.")] = 1,
    classes: Annotated[int, Flag(min=1, help="Classes for preset:NAME, the background counted.")] = 2,
    ndim: Annotated[int, Flag(help="Spatial axes for preset:NAME, 2 or 3; 0 for those it is known for.")] = 0,
    diagram: Annotated[Path | None, Flag(metavar="FILE.svg", help="Draw the network into this file.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Say what a model, a run, a data set or a preset is."""
    if ndim not in (0, 2, 3):
        raise ConfigError(f"--ndim {ndim}: expected 2 or 3; leave it out for the axes that a preset is known for")
    if what.startswith("preset:"):
        from ushape.cli.layers import choose_preset, print_preset

        name = what.removeprefix("preset:")
        print_preset(name, choose_preset(name, channels, classes, ndim), size, diagram, as_json=as_json)
        return
    if ndim:
        raise ConfigError(f"--ndim {ndim}: expected preset:NAME with it, got {what}; a model has the axes it has")
    print_facts(Path(what), size, diagram, as_json=as_json)


def print_facts(path: Path, size: str, diagram: Path | None, *, as_json: bool) -> None:
    """Print what is known about a path, and draw its network if asked to: torch is imported only then."""
    facts = look_at(path)
    if diagram:
        from ushape.cli.layers import draw_recipe

        draw_recipe(facts.get("recipe", ""), path, size, diagram)
    if as_json:
        print_json(facts)
        return
    recipe = facts.pop("recipe", None)
    print_values(facts)
    if diagram:
        typer.echo(f"diagram: {diagram}")
    if recipe:
        typer.echo(f"\n{recipe}")


def print_values(facts: Mapping[str, Any], indent: str = "") -> None:
    """Print facts as lines of `name: value`, those within others below them."""
    titles = TITLES if "masks" in facts else {}
    for name, value in facts.items():
        title = f"{indent}{titles.get(name, name.replace('_', ' '))}:"
        if isinstance(value, Mapping):
            typer.echo(title if value else f"{title} none")
            print_values(value, f"{indent}  ")
        else:
            typer.echo(f"{title} {show_value(value)}")


def show_value(value: object) -> str:
    """Write a fact for a person.

    >>> show_value(1234567), show_value(0.81234), show_value([1, 2]), show_value(None), show_value(True)
    ('1,234,567', '0.8123', '1, 2', 'none', 'yes')
    """
    if value is None or value in ([], ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(show_value, value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def look_at(path: Path) -> dict[str, Any]:
    """Collect the facts about a path; torch is not imported.

    Raises:
        DataError: there is nothing of the kind.
    """
    if path.is_file():
        return _series_facts(path) if path.suffix.lower() == ".zip" else _model_facts(path)
    if (path / "recipe.toml").is_file():
        return _run_facts(path)
    from ushape.io.dicom import is_dicom_folder  # which loads numpy: models and runs are told without it

    if is_dicom_folder(path):
        return _series_facts(path)
    if path.is_dir():
        return _data_facts(path)
    raise DataError(f"{path}: expected a model file, a run folder, a data set or preset:NAME, {_guess(str(path))}")


def _guess(name: str) -> str:
    """Say what was given instead of a path: a preset without its sign, or nothing."""
    from ushape.nets.presets import PRESETS

    return f"got a preset's name; write preset:{name}" if name in PRESETS else "got nothing; check the path"


def _model_facts(path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from ushape.core.model_file import read_header
    from ushape.predict.exported import is_exported, read_export

    header, facts = read_export(path) if is_exported(path) else (read_header(path), None)
    return {
        "model": str(path),
        "members": header.members,
        "parameters": header.parameters,
        "score": header.score,
        "provenance": header.provenance,
        **({"export": asdict(facts)} if facts else {}),
        "recipe": header.recipe,
    }


def _run_facts(path: Path) -> dict[str, Any]:
    from ushape.core.files import read_csv
    from ushape.core.model_file import MODEL_FILE, read_header

    rows = read_csv(path / "metrics.csv")
    best = max(rows, key=lambda row: float(row["val_dice"]) if row["val_dice"] != "nan" else -1.0, default={})
    model = path / MODEL_FILE
    return {
        "run": str(path),
        "finished": (path / "report.html").is_file(),
        "epochs": len(rows),
        "best": {name: kind(best[name]) for name, kind in BEST.items() if name in best},
        "masks": (read_header(model).score or {}).get("masks") if model.is_file() else None,
        "recipe": (path / "recipe.toml").read_text(encoding="utf-8"),
    }


def _series_facts(path: Path) -> dict[str, Any]:
    from ushape.io.dicom import list_series

    series = {
        one.uid: {"description": one.description, "modality": one.modality, "slices": one.slices, "size": one.size}
        for one in list_series(path)
    }
    return {"dicom": str(path), "series": series}


def _data_facts(path: Path) -> dict[str, Any]:
    from ushape.io.label_values import describe_labels
    from ushape.io.layouts import find_pairs

    pairs = find_pairs(path)
    values = describe_labels([mask for pair in pairs for mask in pair.masks])
    return {"data": str(path), "cases": len(pairs), "label_values": list(values.values), "labels": values.kind}
