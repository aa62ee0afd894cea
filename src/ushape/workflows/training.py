"""One training on one split of prepared cases: measure the machine, train, predict what was held out, report."""

from __future__ import annotations

import hashlib
import time

from ushape.core.config import parse_config
from ushape.core.errors import DataError
from ushape.core.events import Listener, Message
from ushape.core.files import read_json, write_json
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe
from ushape.train.budget import make_choices
from ushape.train.config import Choices
from ushape.train.parts import Parts
from ushape.train.probe import machine_facts, use_threads
from ushape.train.run_folder import RunFolder, write_environment
from ushape.train.trainer import run_training
from ushape.workflows.memory import foretell_memory
from ushape.workflows.parts import make_parts, model_writer
from ushape.workflows.review import review
from ushape.workflows.scoring import keep_scorable
from ushape.workflows.tell import tell_choices, tell_split
from ushape.workflows.tune import start_from


def train_split(run: RunFolder, recipe: Recipe, store: Store, listener: Listener, started: float) -> None:
    """Train on the cases that a run's splits.json names, from the start or from its last checkpoint.

    Args:
        store: all prepared cases.
        started: when the time began that the recipe's minutes count.
    Raises:
        UshapeError: the training cannot begin or go on.
    """
    chosen = read_json(run.splits)
    held_out, nothing = store.subset(chosen["validation"]), recipe.data.fold == "none"
    cases, scorable = store.subset(chosen["training"]), keep_scorable(held_out)
    listener(tell_split(len(cases), len(scorable), len(held_out), on_purpose=nothing))
    use_threads(recipe.train.threads)
    begins = not run.checkpoint.exists()
    parts = make_parts(recipe, cases, scorable, pretrained=begins)
    if begins and recipe.train.start != "none":
        listener(start_from(parts.net, recipe.train.start))
    choices = _choose(run, recipe, parts, started, listener)
    run_training(parts, choices, run, model_writer(run, recipe, parts), listener)
    review(run, recipe, scorable, listener)


def _choose(run: RunFolder, recipe: Recipe, parts: Parts, started: float, listener: Listener) -> Choices:
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    if run.choices.exists():
        return _read_choices(run, digest)
    device = machine_facts(recipe.train.device)
    listener(foretell_memory(recipe, device))
    minutes = parts.config.minutes
    choices = make_choices(parts, None if minutes == "none" else minutes * 60 - (time.perf_counter() - started))
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
