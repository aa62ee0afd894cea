"""From a request to a recipe: survey the data, let the plan decide, then the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ushape.core.config import with_fields
from ushape.core.events import Listener
from ushape.losses.compose import Loss
from ushape.plan.balance import fill_class_weights
from ushape.plan.reasons import explain_habits, show_decisions, value_at
from ushape.plan.recipe import Reasons, Recipe, list_settings, overlay_recipe, read_file, to_toml
from ushape.plan.rules import make_plan
from ushape.plan.toml import parse_toml
from ushape.workflows.engine import check_sizes
from ushape.workflows.survey import DataSet, survey
from ushape.workflows.tune import plan_from
from ushape.workflows.wishes import read_wishes, wants_slices


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
    """A data set and what is to be trained on it.

    Attributes:
        planned: the recipe before the user's own choices.
        reasons: of what was decided; others speak for themselves, or are habits.
    """

    data: DataSet
    planned: Recipe
    recipe: Recipe
    reasons: Reasons

    @property
    def text(self) -> str:
        """The whole recipe as TOML, with its reasons."""
        return to_toml(self.recipe, explain_habits(self.recipe, self.planned, self.reasons))

    @property
    def decisions(self) -> str:
        """What was decided, one line each."""
        return show_decisions(self.recipe, self.reasons)


def design(request: FitRequest, listener: Listener) -> Design:
    """Survey the data and decide; a reason of the plan stays only where its value does, else the user's comment is it.

    Raises:
        UshapeError: the data, the recipe or a change cannot be used.
    """
    where = request.recipe.name if request.recipe else "recipe"
    text = read_file(request.recipe) if request.recipe else ""
    table = parse_toml(text, where)
    wishes = read_wishes(table, request.changes, where, foreground=request.foreground)
    data = survey(
        request.data,
        listener,
        labels=wishes.labels,
        guess=wishes.guess,
        axes=wishes.axes,
        strict=wishes.strict,
    )
    slices = wants_slices(wishes, data.fingerprint.ndim)
    planned, reasons = make_plan(data.fingerprint, data.labels, slices=slices, levels=wishes.levels)
    planned = with_fields(planned, {"data.axes": data.found.axes}, "recipe")
    tuned = plan_from(planned, wishes.start)
    wanted = with_fields(overlay_recipe(tuned, table, where), request.changes, "recipe")
    recipe, weighed = fill_class_weights(wanted, data.fingerprint.class_shares)
    check_sizes(recipe)
    Loss(recipe.loss, recipe.head)  # refuses terms that do not fit the head, before anything is read or written
    patients = dict.fromkeys(
        ["data.groups"] if data.found.groups and not recipe.data.groups else [], "from the table's column patient"
    )
    kept = {name: reason for name, reason in reasons.items() if value_at(recipe, name) == value_at(planned, name)}
    said = {name: comment for name, _, comment in list_settings(text) if comment}
    flags = dict.fromkeys(request.changes, "set on the command line")
    return Design(data, planned, recipe, {**patients, **kept, **said, **flags, **weighed})
