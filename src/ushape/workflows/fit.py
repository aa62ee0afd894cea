"""Train: survey the data, plan, prepare, measure the machine, train, predict what was held out, report."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from ushape.core.config import parse_config
from ushape.core.errors import OutputError
from ushape.core.events import Listener, Log, Message
from ushape.core.files import read_json, write_json, write_text
from ushape.plan.recipe import Recipe, read_recipe
from ushape.train.budget import make_choices
from ushape.train.config import Choices
from ushape.train.parts import Parts
from ushape.train.probe import machine_facts, use_threads
from ushape.train.run_folder import RunFolder, create_run, discard_run, open_run, write_environment
from ushape.train.stop import explain_stop
from ushape.train.trainer import run_training
from ushape.workflows.design import FitRequest, design
from ushape.workflows.parts import make_parts, model_writer
from ushape.workflows.prepare import prepare, split
from ushape.workflows.review import review
from ushape.workflows.scoring import keep_scorable
from ushape.workflows.tell import tell_choices, tell_recipe, tell_split


def fit(request: FitRequest, listener: Listener) -> RunFolder:
    """Train on a folder of images and masks.

    Returns:
        The run folder: model, recipe, metrics, predictions of the held-out cases, report.
    Raises:
        UshapeError: the data, the recipe or the output cannot be used; a failed start leaves nothing behind.
    """
    started = time.perf_counter()
    log = Log(listener)
    designed = design(request, log)
    log(Message(tell_recipe(designed.recipe)))
    run = create_run(request.output)
    try:
        log.open(run.log)
        write_text(run.recipe, designed.text)
        write_json(run.fingerprint, designed.data.fingerprint.model_dump(mode="json"))
        write_json(run.splits, split(designed.data, designed.recipe))
        _train(run, designed.recipe, log, started)
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
    run = open_run(path)
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), str(run.recipe))
    log = Log(listener)
    log.open(run.log)
    if run.report.exists():
        log(Message(f"{path}: this training is finished; to train longer, start a new one with more --epochs"))
    else:
        _train(run, recipe, log, time.perf_counter())
    return run


def _train(run: RunFolder, recipe: Recipe, listener: Listener, started: float) -> None:
    chosen = read_json(run.splits)
    with explain_stop(run.checkpoint):
        store = prepare(Path(chosen["data"]), recipe, run.prepared, listener)
        cases, held_out = store.subset(chosen["training"]), keep_scorable(store.subset(chosen["validation"]))
        listener(tell_split(len(cases), len(held_out), len(chosen["validation"])))
        use_threads(recipe.train.threads)
        parts = make_parts(recipe, cases, held_out, pretrained=not run.checkpoint.exists())
        choices = _choose(run, parts, started, listener)
        run_training(parts, choices, run, model_writer(run, recipe, parts), listener)
        review(run, recipe, held_out, listener)
    shutil.rmtree(run.prepared)


def _choose(run: RunFolder, parts: Parts, started: float, listener: Listener) -> Choices:
    if run.choices.exists():
        return parse_config(Choices, read_json(run.choices), str(run.choices))
    minutes = parts.config.minutes
    choices = make_choices(parts, None if minutes == "none" else minutes * 60 - (time.perf_counter() - started))
    write_json(run.choices, choices.model_dump())
    write_environment(run, machine_facts(choices.device))
    listener(Message(tell_choices(choices)))
    return choices
