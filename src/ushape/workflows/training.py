"""One training on one split of prepared cases: measure the machine, train, predict what was held out, report."""

from __future__ import annotations

from ushape.core.config import parse_config
from ushape.core.cores import usable_cores
from ushape.core.events import Listener, ignore_events
from ushape.core.files import read_json
from ushape.patches.store import INDEX, Store
from ushape.plan.recipe import Recipe, read_recipe
from ushape.train.clock import Clock
from ushape.train.config import Choices
from ushape.train.parts import Parts
from ushape.train.probe import use_threads
from ushape.train.ranks import check_launcher, wait_until_written
from ushape.train.run_folder import RunFolder
from ushape.train.trainer import run_training
from ushape.workflows.looking import tell_gradients
from ushape.workflows.parts import make_parts, model_writer
from ushape.workflows.review import review
from ushape.workflows.scoring import keep_scorable
from ushape.workflows.settle import settle
from ushape.workflows.tell import tell_split
from ushape.workflows.tune import start_from


def train_split(run: RunFolder, recipe: Recipe, store: Store, listener: Listener, clock: Clock) -> None:
    """Train on the cases that a run's splits.json names, from the start or from its last checkpoint.

    Args:
        store: all prepared cases.
        clock: when the time began that the recipe's minutes count.
    Raises:
        UshapeError: the training cannot begin or go on.
    """
    chosen = read_json(run.splits)
    scorable, fold = keep_scorable(store.subset(chosen["validation"])), recipe.data.fold
    held_out = len(chosen["validation"])
    listener(tell_split(len(chosen["training"]), len(scorable), held_out, on_purpose=fold == "none"))
    parts = _build(run, recipe, store, listener)
    choices = settle(run, recipe, parts, clock, listener)
    try:
        run_training(parts, choices, run, model_writer(run, recipe, parts), listener)
    finally:
        tell_gradients(run.gradients, listener)
    review(run, recipe, scorable.names, listener)


def join_training(run: RunFolder) -> RunFolder:
    """Train beside rank 0, which has planned and prepared, and writes all that is written.

    Raises:
        UshapeError: as `train_split`.
    """
    wait_until_written(run.choices, run.prepared / INDEX)
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), str(run.recipe))
    parts = _build(run, recipe, Store(run.prepared), ignore_events)
    choices = parse_config(Choices, read_json(run.choices), str(run.choices))
    run_training(parts, choices, run, model_writer(run, recipe, parts), ignore_events)
    return run


def _build(run: RunFolder, recipe: Recipe, store: Store, listener: Listener) -> Parts:
    """Make the parts of a training, with the weights that it starts from unless a checkpoint has them."""
    check_launcher(recipe.train.nodes)
    chosen, begins = read_json(run.splits), not run.checkpoint.exists()
    use_threads(recipe.train.threads or max(1, usable_cores() // recipe.train.devices))
    held_out = keep_scorable(store.subset(chosen["validation"]))
    parts = make_parts(recipe, store.subset(chosen["training"]), held_out, pretrained=begins)
    if begins and recipe.train.start != "none":
        listener(start_from(parts.net, recipe.train.start))
    return parts
