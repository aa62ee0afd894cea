"""Several model files as one: the mean of the probabilities of all their networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ushape.core.errors import ConfigError
from ushape.plan.usage import Usage
from ushape.predict.compose import Ensemble
from ushape.predict.engines import Engine
from ushape.workflows.foreign import Foreign, ModelPath
from ushape.workflows.runtime import Running, run_model
from ushape.workflows.source import model_path

SHARED: dict[str, Callable[[Usage], object]] = {
    "number of axes": lambda usage: usage.ndim,
    "data.channels": lambda usage: usage.data.channels,
    "data.labels": lambda usage: usage.data.labels,
    "prep": lambda usage: usage.prep,
}
"""What models must agree in, and where a recipe says it. The networks may differ in all else."""


def run_models(models: Sequence[ModelPath], engine: str, device: str) -> Running:
    """Open models, each in a runtime, as `run_model` does, and make one of them."""
    files = [model_path(each.file if isinstance(each, Foreign) else each) for each in models]
    recipes = [Path(each.recipe) if isinstance(each, Foreign) else None for each in models]
    opened = [run_model(file, engine, device, recipe) for file, recipe in zip(files, recipes, strict=True)]
    return join_models(files, opened)


def join_models(files: Sequence[Path], models: Sequence[Running]) -> Running:
    """Make one model of several; each network counts alike. Windows, threshold and rules are those of the first.

    Raises:
        ConfigError: they differ in their classes, in how images are prepared, or in the only windows they take.
    """
    first = models[0]
    for file, model in zip(files[1:], models[1:], strict=True):
        for what, choice in SHARED.items():
            if choice(model.usage) != choice(first.usage):
                raise _differ(file, files[0], what)
        fixed = [(one.engine.margin, one.engine.window, one.usage.predict.window.size) for one in (first, model)]
        if fixed[0] != fixed[1] and any(any(margin) or window for margin, window, _ in fixed):
            raise _differ(file, files[0], "window size, since networks among them take no other")
    engines = [engine for model in models for engine in _members(model.engine)]
    return Running(first.usage, Ensemble(engines) if len(engines) > 1 else engines[0], first.told)


def _members(engine: Engine) -> tuple[Engine, ...]:
    return engine.engines if isinstance(engine, Ensemble) else (engine,)


def _differ(file: Path, first: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{file}: expected the same {what} as {first}, got another; train both on one plan, or predict with each alone"
    )
