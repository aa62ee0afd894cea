"""What a user says that must be known before the plan: of labels and axes for the survey, of the net for its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ushape.core.config import parse_config, refuse_unknown
from ushape.core.errors import ConfigError
from ushape.core.labels import Labels
from ushape.plan.recipe import Recipe
from ushape.workflows.guess import Guess, read_ignored

LABELS = "data.labels."


@dataclass(frozen=True)
class Wishes:
    """What recipe file and flags say; flags have the last word.

    Attributes:
        labels: the classes, if their values are named.
        guess: what is said of them otherwise.
        axes: of the files' arrays, "" if nothing is said.
        strict: refuse labels on another grid than their image's.
        ndim: of the net, or None.
        start: the model to start from, or "none".
        levels: how many the net has, by its widths; None if nothing is said.
    """

    labels: Labels | None
    guess: Guess
    axes: str
    strict: bool
    ndim: object
    start: str
    levels: int | None


def read_wishes(table: Mapping[str, Any], changes: Mapping[str, Any], where: str, *, foreground: bool) -> Wishes:
    """Find them in a recipe file's table and in the changes.

    Raises:
        ConfigError: a name is none of a recipe; the labels cannot be used, or contradict each other.
    """
    refuse_unknown(Recipe, table, where)
    refuse_unknown(Recipe, changes, "recipe")
    data, net = _table_at(table, "data"), _table_at(table, "net")
    widths = changes.get("net.widths", net.get("widths"))
    labels = dict(_table_at(data, "labels"))
    labels |= {name[len(LABELS) :]: value for name, value in changes.items() if name.startswith(LABELS)}
    if foreground and labels.get("values") and labels.get("merge") != "foreground":
        raise ConfigError("--foreground: the recipe names the label values already; leave out one of them")
    return Wishes(
        labels=parse_config(Labels, labels, f"{where}: data.labels") if "values" in labels else None,
        guess=Guess(foreground or labels.get("merge") == "foreground", read_ignored(labels.get("ignore"))),
        axes=str(changes.get("data.axes", data.get("axes", ""))),
        strict=changes.get("data.strict", data.get("strict", False)) is True,
        start=str(changes.get("train.start", _table_at(table, "train").get("start", "none"))),
        ndim=changes.get("net.ndim", net.get("ndim")),
        levels=len(widths) if isinstance(widths, list | tuple) and len(widths) > 1 else None,
    )


def wants_slices(wishes: Wishes, ndim: int) -> bool:
    """Say whether a 2D net was asked for volumes.

    Args:
        ndim: of the images.
    Raises:
        ConfigError: a 3D net was asked for pictures.
    """
    if wishes.ndim == 3 and ndim == 2:
        raise ConfigError("net.ndim: expected 2, since the images are pictures, got 3; leave it out")
    return wishes.ndim == 2 and ndim == 3


def _table_at(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name)
    return found if isinstance(found, Mapping) else {}
