"""From a request to a recipe: survey the data, let the plan decide, then the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ushape.core.config import parse_config, with_fields
from ushape.core.errors import ConfigError
from ushape.core.events import Listener
from ushape.core.labels import Labels
from ushape.plan.recipe import Reasons, Recipe, overlay_recipe, parse_toml, read_file, to_toml
from ushape.plan.rules import make_plan
from ushape.workflows.engine import check_sizes
from ushape.workflows.survey import DataSet, survey

LABELS = "data.labels."


@dataclass(frozen=True)
class FitRequest:
    """What a user asks of a training.

    Attributes:
        recipe: a recipe file, complete or naming some choices only.
        changes: dotted recipe fields to values; they have the last word.
        foreground: train all label values above 0 as one class.
    """

    data: Path
    output: Path
    recipe: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    foreground: bool = False


@dataclass(frozen=True)
class Design:
    """A data set and what is to be trained on it."""

    data: DataSet
    recipe: Recipe
    reasons: Reasons

    @property
    def text(self) -> str:
        """The recipe as TOML, with its reasons."""
        return to_toml(self.recipe, self.reasons)


def design(request: FitRequest, listener: Listener) -> Design:
    """Survey the data and decide; a reason of the plan stays only where its value does.

    Raises:
        UshapeError: the data, the recipe or a change cannot be used.
    """
    where = request.recipe.name if request.recipe else "recipe"
    table = parse_toml(read_file(request.recipe), where) if request.recipe else {}
    labels = _find_labels(table, request)
    foreground = request.foreground or labels.get("merge") == "foreground"
    named = parse_config(Labels, labels, f"{where}: data.labels") if "values" in labels else None
    axes = str(request.changes.get("data.axes", _data_table(table).get("axes", "")))
    data = survey(request.data, listener, labels=named, foreground=foreground, axes=axes)
    planned, reasons = make_plan(data.fingerprint, data.labels)
    planned = with_fields(planned, {"data.axes": data.found.axes}, "recipe")
    recipe = with_fields(overlay_recipe(planned, table, where), request.changes, "recipe")
    check_sizes(recipe)
    kept = {name: reason for name, reason in reasons.items() if _at(recipe, name) == _at(planned, name)}
    return Design(data, recipe, kept | dict.fromkeys(request.changes, "set on the command line"))


def _find_labels(table: Mapping[str, Any], request: FitRequest) -> dict[str, Any]:
    """Return what the recipe file and the changes say of the labels: the survey must know before the plan does."""
    labels = _data_table(table).get("labels")
    found = dict(labels) if isinstance(labels, Mapping) else {}
    found |= {name[len(LABELS) :]: value for name, value in request.changes.items() if name.startswith(LABELS)}
    if request.foreground and found.get("values") and found.get("merge") != "foreground":
        raise ConfigError("--foreground: the recipe names the label values already; leave out one of them")
    return found


def _data_table(table: Mapping[str, Any]) -> Mapping[str, Any]:
    data = table.get("data")
    return data if isinstance(data, Mapping) else {}


def _at(recipe: Recipe, dotted: str) -> Any:
    value: Any = recipe
    for name in dotted.split("."):
        value = getattr(value, name)
    return value
