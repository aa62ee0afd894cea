"""Train: survey the data, plan, split, prepare, then train on one split or on every fold."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from ushape.core.errors import OutputError
from ushape.core.events import Listener, Log, Message
from ushape.core.files import write_json, write_text
from ushape.patches.shelf import Shelf
from ushape.plan.recipe import Recipe, read_recipe
from ushape.train.clock import Clock
from ushape.train.ranks import own_rank
from ushape.train.run_folder import RunFolder, create_run, discard_run, open_run, refuse_existing
from ushape.train.stop import explain_stop
from ushape.workflows.design import FitRequest, design
from ushape.workflows.folds import train_folds
from ushape.workflows.prepare import prepare, split
from ushape.workflows.tell import tell_recipe
from ushape.workflows.training import join_training, train_split


def fit(request: FitRequest, listener: Listener) -> RunFolder:
    """Train on a folder of images and masks.

    Returns:
        The run folder: model, recipe, metrics, predictions of the held-out cases, report.
    Raises:
        UshapeError: the data, the recipe or the output cannot be used; a failed start leaves nothing behind.
    """
    if own_rank():
        return join_training(RunFolder(request.output))
    clock = Clock(time.perf_counter())
    refuse_existing(request.output)
    log = Log(listener)
    with explain_stop(RunFolder(request.output)):
        designed = design(request, log)
    log(Message(tell_recipe(designed.recipe)))
    run = create_run(request.output)
    try:
        log.open(run.log)
        write_text(run.recipe, designed.text)
        write_json(run.fingerprint, designed.data.fingerprint.model_dump(mode="json"))
        write_json(run.splits, split(designed.data, designed.recipe))
        _train(run, designed.recipe, log, clock)
    except BaseException as error:
        with suppress(OutputError):
            log.note(f"ended by {type(error).__name__}: {error}")
        discard_run(run)
        raise
    return run


def resume(path: Path, listener: Listener) -> RunFolder:
    """Go on with a training that was stopped, as if it had not been; a finished one stays as it is.

    Raises:
        DataError: the folder is no run, or its images have changed.
    """
    if own_rank():
        return join_training(RunFolder(path))
    run = open_run(path)
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), str(run.recipe))
    log = Log(listener)
    log.open(run.log)
    if run.report.exists():
        log(Message(f"{path}: this training is finished; to train longer, start a new one with more --epochs"))
    else:
        _train(run, recipe, log, Clock(time.perf_counter()))
    return run


def _train(run: RunFolder, recipe: Recipe, listener: Listener, clock: Clock) -> None:
    with explain_stop(run):
        store = prepare(run, recipe, listener)
        train = train_folds if recipe.data.fold == "all" else train_split
        train(run, recipe, store, listener, clock)
    shutil.rmtree(run.prepared)
    Shelf(run.shelf).trim()
