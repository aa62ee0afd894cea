"""What is measured and settled before the first step of a training, and kept for those that go on with it."""

from __future__ import annotations

import hashlib
import time

from ushape.core.config import parse_config
from ushape.core.errors import DataError
from ushape.core.events import Listener, Message, count
from ushape.core.files import read_json, write_json
from ushape.plan.recipe import Recipe
from ushape.train.budget import make_choices
from ushape.train.clock import Budget, Clock
from ushape.train.config import Choices, TrainConfig
from ushape.train.parts import Parts
from ushape.train.probe import machine_facts
from ushape.train.run_folder import RunFolder, write_environment
from ushape.workflows.foretell import foretell_memory


def settle(run: RunFolder, recipe: Recipe, parts: Parts, clock: Clock, listener: Listener) -> Choices:
    """Measure the machine and decide on precision, layout and steps; a run that is resumed has done so.

    Args:
        clock: when the time began that the recipe's minutes count.
    Raises:
        ConfigError: the budget is too short, or the device or precision is not to be had.
        DataError: the recipe is another one than when the run began.
        TrainingError: memory ran out.
    """
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    if run.choices.exists():
        return _read_choices(run, digest)
    measured_from = time.perf_counter()
    device = machine_facts(recipe.train.device)
    listener(foretell_memory(recipe, device))
    if measured := tell_probe(parts.config):
        listener(Message(measured))
    minutes = parts.config.minutes
    budget = None if minutes == "none" else Budget(minutes * 60, clock, measured_from)
    choices = make_choices(parts, budget)
    choices = choices.model_copy(update={"recipe": digest})
    write_json(run.choices, choices.model_dump())
    write_environment(run, device)
    listener(Message(tell_choices(choices)))
    return choices


def _read_choices(run: RunFolder, digest: str) -> Choices:
    choices = parse_config(Choices, read_json(run.choices), str(run.choices))
    if choices.recipe != digest:
        raise DataError(
            f"{run.recipe}: expected the recipe that this run began with, got a changed one; "
            "undo the change, or start a new run with --recipe"
        )
    return choices


def tell_probe(config: TrainConfig) -> str:
    """Say what is measured before the first step; nothing where all of it is given.

    >>> tell_probe(TrainConfig())
    'measuring the fastest precision and layout, and how long a step and a validation take'
    """
    free = [name for name in ("precision", "layout") if getattr(config, name) == "auto"]
    lengths = [] if config.minutes == "none" else ["how long a step and a validation take"]
    what = [f"the fastest {' and '.join(free)}", *lengths] if free else lengths
    return f"measuring {', and '.join(what)}" if what else ""


def tell_choices(choices: Choices) -> str:
    """Say what was measured and decided on this machine."""
    layout = ", channels last" if choices.channels_last else ""
    pace = f", {choices.seconds_per_step:.2g} s a step" if choices.seconds_per_step else ""
    steps = f"{count(choices.epochs, 'epoch')} of {count(choices.steps_per_epoch, 'step')}{pace}"
    return f"{choices.device}, {choices.precision}{layout}: {steps}"
