"""Trainings that take a second: tiny nets, few steps, one thread, float32 for equal numbers on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ushape.core.config import with_fields
from ushape.core.events import Event, Listener, ignore_events
from ushape.core.files import write_json
from ushape.plan.recipe import Recipe
from ushape.train.parts import Parts
from ushape.train.run_folder import RunFolder, create_run
from ushape.workflows.design import FitRequest
from ushape.workflows.fit import fit
from ushape.workflows.parts import make_parts
from ushape.workflows.prepare import prepare

TINY: Mapping[str, Any] = {
    "net.widths": [4, 8],
    "patches.size": [32, 32],
    "patches.batch": 2,
    "predict.window.size": [48, 48],
    "train.epochs": 2,
    "train.minutes": "none",
    "train.steps_per_epoch": 4,
    "train.precision": "float32",
    "train.layout": "contiguous",
    "train.threads": 1,
}


class Heard(list[Event]):
    """A listener that remembers."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


def fit_tiny(
    data: Path,
    output: Path,
    changes: Mapping[str, Any] | None = None,
    listener: Listener = ignore_events,
    *,
    recipe: Path | None = None,
    foreground: bool = False,
) -> RunFolder:
    return fit(FitRequest(data, output, recipe, {**TINY, **(changes or {})}, foreground), listener)


def tiny_parts(data: Path, folder: Path, changes: Mapping[str, Any] | None = None) -> Parts:
    """Make what a tiny training is made of, validated on one case, without training it."""
    recipe = with_fields(Recipe(), {**TINY, **(changes or {})})
    prepared = create_run(folder)
    write_json(prepared.splits, {"data": str(data)})
    store = prepare(prepared, recipe, ignore_events)
    return make_parts(recipe, store, store.subset(["case1"]))


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(run.model)


def state(run: RunFolder) -> dict[str, Any]:
    return torch.load(run.checkpoint, weights_only=True)


def same(one: Any, other: Any) -> bool:
    """Compare nested states bit by bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def same_training(one: RunFolder, other: RunFolder) -> bool:
    """Tell whether two trainings came to the same weights, raw and averaged, optimiser and best model."""
    ours, theirs = state(one), state(other)
    parts = [part for part in ("state_dict", "current_model_state", "optimizer_states", "plateau") if part in ours]
    return same(weights(one), weights(other)) and all(same(ours[part], theirs[part]) for part in parts)


def cli_arguments(changes: Mapping[str, Any]) -> list[str]:
    """Turn changes into --set options."""
    return [word for name, value in changes.items() for word in ("--set", f"{name}={_as_toml(value)}")]


def _as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
