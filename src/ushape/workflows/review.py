"""Look back on a training: predict the held-out cases with the best weights, measure them, write the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ushape.core.case import Case, Prediction
from ushape.core.events import Listener, Progress, count
from ushape.core.files import read_csv, read_json
from ushape.explain.flow import last_look, tell_flow
from ushape.measure.summary import ScoreTable
from ushape.measure.table import CaseScores, measure_surfaces
from ushape.plan.recipe import Recipe, list_settings
from ushape.report.contents import Setting
from ushape.train.run_folder import RunFolder
from ushape.workflows.held_out import HeldOut, list_pairs
from ushape.workflows.model import load
from ushape.workflows.publish import Story, publish
from ushape.workflows.scoring import need_label, score_prediction
from ushape.workflows.tidied import keep_rules, keep_score
from ushape.workflows.tidy import Rules, Trial


def review(run: RunFolder, recipe: Recipe, names: Sequence[str], listener: Listener) -> ScoreTable:
    """Predict, measure and report the held-out cases of a run; without any the report tells of the training only.

    Cases are read anew and predicted as any image is: masks lie on the images' own grids, and are measured against the
    labels as they were given. Where rules that clean masks pay, the model keeps them, and masks and scores are those of
    the model with them. One case is in memory at a time.

    Args:
        names: of the held-out cases.
    """
    model, labels = load(run.model, device=recipe.train.device), recipe.data.labels
    pairs = list_pairs(run) if names else {}
    held_out, scores, trial = HeldOut(pairs, run.predictions, recipe), [], Trial(labels)

    def judge(case: Case, prediction: Prediction) -> CaseScores:
        held_out.write(case, prediction)
        return measure_surfaces(score_prediction(prediction, case, labels), prediction.label, need_label(case))

    def clean(rules: Rules) -> Iterator[CaseScores]:
        return (score_prediction(held_out.recall(name, rules), held_out.read(name), labels) for name in names)

    for number, name in enumerate(names):
        case = held_out.read(name)
        prediction = model.predict(case, probabilities=False)
        scores.append(judge(case, prediction))
        trial.add(prediction, case)
        listener(Progress("predict", number + 1, len(names)))
    rules = keep_rules(run.model, recipe, trial.choose(clean), listener)
    if rules:
        scores = [judge(held_out.read(name), held_out.recall(name, rules)) for name in names]
    table = ScoreTable(tuple(scores))
    if scores:
        keep_score(run.model, table.foreground_dice)
    publish(run.path, table, labels.names, held_out.draw, tell_story(run, _say_scored(len(scores), rules)))
    return table


def tell_story(run: RunFolder, scored: str) -> Story:
    """Tell of a training: what was trained, for how long, and what to do with it.

    Args:
        scored: a sentence that says which cases the report's scores are of.
    """
    split, curves, looks = read_json(run.splits), read_csv(run.metrics), read_csv(run.gradients)
    trained = f"Trained on {count(len(split['training']), 'case')} of {Path(split['data']).name}"
    steps = f"{count(len(curves), 'epoch')}, {count(int(curves[-1]['step']), 'step')}"
    spent = f"{steps}, {float(curves[-1]['seconds']) / 60:.1f} minutes"
    return Story(
        title=f"Training on {Path(split['data']).name}",
        summary=[f"{trained}: {spent}.", scored, *tell_flow(looks)],
        settings=[Setting(*row) for row in list_settings(run.recipe.read_text(encoding="utf-8"))],
        curves=curves,
        gradients=last_look(looks),
        environment={key: str(value) for key, value in read_json(run.environment).items()},
        next_steps=[
            "# masks for new images",
            f"ushape predict {run.model} IMAGES -o OUT",
            "# compare masks with true ones",
            "ushape evaluate OUT TRUE_MASKS -o SCORES",
        ],
    )


def _say_scored(cases: int, rules: Rules) -> str:
    if not cases:
        return "No case was held out, so nothing is scored."
    chosen = "the best epoch and the rules that clean their masks" if rules else "the best epoch"
    scored = f"Scores are of {count(cases, 'held-out case')}, which chose {chosen} but were not trained on"
    return f"{scored}, on the grids of their files (those of each epoch are on the grid the net sees)."
