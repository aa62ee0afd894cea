"""Look back on a training: predict the held-out cases with the best weights, measure them, write the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ushape.core.events import Listener, Progress, count
from ushape.core.files import read_csv, read_json
from ushape.core.labels import flatten
from ushape.io.layouts import find_pairs
from ushape.io.outputs import Grid
from ushape.io.results import result_name, result_paths, write_result
from ushape.measure.summary import ScoreTable
from ushape.measure.table import measure_surfaces
from ushape.plan.recipe import Recipe, list_settings
from ushape.report.contents import Overlay, Setting
from ushape.train.run_folder import RunFolder
from ushape.workflows.model import load
from ushape.workflows.publish import Story, publish
from ushape.workflows.scoring import need_label, score_prediction
from ushape.workflows.stock import load_pair
from ushape.workflows.tidied import keep_rules
from ushape.workflows.tidy import Trial


def review(run: RunFolder, recipe: Recipe, held_out: Sequence[str], listener: Listener) -> ScoreTable:
    """Predict, measure and report the held-out cases of a run; without any the report tells of the training only.

    Cases are read anew and predicted as any image is: masks lie on the images' own grids, and are measured against the
    labels as they were given. One case is in memory at a time.

    Args:
        held_out: names of the cases.
    """
    model, labels = load(run.model, device=recipe.train.device), recipe.data.labels
    pairs = {pair.name: pair for pair in find_pairs(Path(read_json(run.splits)["data"]))} if held_out else {}
    masks = {name: run.predictions / result_name(pair.image, name) for name, pair in pairs.items()}
    scores, trial = [], Trial(labels)
    for number, name in enumerate(held_out):
        case = load_pair(pairs[name], recipe)
        prediction = model.predict(case, probabilities=False)
        write_result(masks[name], prediction.label, labels, Grid(case.geometry, Path(case.source)))
        case_scores = score_prediction(prediction, case, labels)
        scores.append(measure_surfaces(case_scores, prediction.label, need_label(case)))
        trial.add(prediction, case)
        listener(Progress("predict", number + 1, len(held_out)))
    keep_rules(run.model, recipe, trial.choose(), listener)
    table = ScoreTable(tuple(scores))

    def draw(name: str, caption: str, dice: float) -> Overlay:
        case, written = load_pair(pairs[name], recipe), tuple(result_paths(masks[name], labels))
        guess = load_pair(replace(pairs[name], mask=None, class_masks=written), recipe)
        flat, true = flatten(need_label(guess)), flatten(need_label(case))
        return Overlay(name, caption, case.image, flat, true, dice, case.geometry)

    publish(run.path, table, labels.names, draw, tell_story(run, _say_scored(len(scores))))
    return table


def tell_story(run: RunFolder, scored: str) -> Story:
    """Tell of a training: what was trained, for how long, and what to do with it.

    Args:
        scored: a sentence that says which cases the report's scores are of.
    """
    split, curves = read_json(run.splits), read_csv(run.metrics)
    trained = f"Trained on {count(len(split['training']), 'case')} of {Path(split['data']).name}"
    steps = f"{count(len(curves), 'epoch')}, {count(int(curves[-1]['step']), 'step')}"
    spent = f"{steps}, {float(curves[-1]['seconds']) / 60:.1f} minutes"
    return Story(
        title=f"Training on {Path(split['data']).name}",
        summary=[f"{trained}: {spent}.", scored],
        settings=[Setting(*row) for row in list_settings(run.recipe.read_text(encoding="utf-8"))],
        curves=curves,
        environment={key: str(value) for key, value in read_json(run.environment).items()},
        next_steps=[
            "# masks for new images",
            f"ushape predict {run.model} IMAGES -o OUT",
            "# compare masks with true ones",
            "ushape evaluate OUT TRUE_MASKS -o SCORES",
        ],
    )


def _say_scored(cases: int) -> str:
    if not cases:
        return "No case was held out, so nothing is scored."
    scored = f"Scores are of {count(cases, 'held-out case')}, which chose the best epoch but were not trained on"
    return f"{scored}, on the grids of their files (those of each epoch are on the grid the net sees)."
