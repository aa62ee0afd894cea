"""Look back on a training: predict the held-out cases with the best weights, measure them, write the report."""

from __future__ import annotations

from pathlib import Path

from ushape.core.case import Case, Prediction
from ushape.core.events import Listener, Progress, count
from ushape.core.files import read_csv, read_json
from ushape.core.labels import flatten
from ushape.io.outputs import Grid
from ushape.io.results import write_result
from ushape.measure.summary import ScoreTable
from ushape.measure.table import measure_surfaces
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe, list_settings
from ushape.report.contents import Overlay, Setting
from ushape.train.run_folder import RunFolder
from ushape.workflows.model import load
from ushape.workflows.publish import Story, publish
from ushape.workflows.scoring import need_label, predict_prepared, score_prediction

MASK_ENDINGS = {2: ".png", 3: ".nii.gz"}


def review(run: RunFolder, recipe: Recipe, held_out: Store, listener: Listener) -> ScoreTable:
    """Predict, measure and report the held-out cases of a run; without any the report tells of the training only.

    Cases are taken as they were prepared: their masks lie where the images do, on the grid the network sees.
    """
    model, labels = load(run.model, device=recipe.train.device), recipe.data.labels
    scores, predictions = [], {}
    for number in range(len(held_out)):
        case = held_out[number].as_case()
        prediction = predict_prepared(case, model.engine, recipe)
        path = run.predictions / f"{case.name}{MASK_ENDINGS[recipe.net.ndim]}"
        write_result(path, prediction.label, labels, Grid(case.geometry))
        case_scores = score_prediction(prediction, case, labels)
        scores.append(measure_surfaces(case_scores, prediction.label, need_label(case)))
        predictions[case.name] = prediction
        listener(Progress("predict", number + 1, len(held_out)))
    table = ScoreTable(tuple(scores))

    def draw(name: str, caption: str, dice: float) -> Overlay:
        case = held_out.subset([name])[0].as_case()
        return draw_case(case, predictions[name], caption, dice)

    publish(run.path, table, labels.names, draw, tell_story(run, _say_scored(len(scores))))
    return table


def draw_case(case: Case, prediction: Prediction, caption: str, dice: float) -> Overlay:
    """Put a case and its prediction together for the report."""
    label = None if case.label is None else flatten(case.label)
    return Overlay(case.name, caption, case.image, flatten(prediction.label), label, dice, case.geometry)


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
    return f"Scores are of {count(cases, 'held-out case')}, which chose the best epoch but were not trained on."
