"""Rules are chosen by what they do to held-out cases, and only if no class pays for it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.conftest import write_blobs
from tests.train.tiny import fit_tiny

from ushape.core.case import Case, Geometry, Prediction
from ushape.core.files import read_csv
from ushape.core.labels import Labels
from ushape.core.model_file import ModelHeader, read_header, read_weights, write_model
from ushape.io.images import read_mask
from ushape.measure.table import CaseScores, class_means
from ushape.plan.recipe import Recipe, read_recipe, to_toml
from ushape.predict.postprocess import FillHoles, Largest, apply_rules
from ushape.workflows import review as review_module
from ushape.workflows.model import load
from ushape.workflows.scoring import need_label, score_prediction
from ushape.workflows.tidied import keep_rules, store_rules
from ushape.workflows.tidy import Rules, Tidying, Trial

PX = Geometry.pixels(2)
LABELS = Labels(names=("background", "a", "b"), values=(0, 1, 2))


def held_out(*labels: np.ndarray) -> list[Case]:
    return [Case(f"case{i}", np.zeros((1, *label.shape)), PX, label) for i, label in enumerate(labels)]


def truth(seed: int) -> np.ndarray:
    label = np.zeros((30, 40), dtype=np.int16)
    row, col = np.random.default_rng(seed).integers(2, 10, 2)
    label[row : row + 12, col : col + 8], label[row : row + 12, col + 8 : col + 14] = 1, 2
    return label


def predicted(case: Case, label: np.ndarray) -> Prediction:
    return Prediction(case.name, label, case.geometry)


def with_specks(label: np.ndarray, number: int) -> np.ndarray:
    out = label.copy()
    out[-3:, -4:] = number
    return out


def choose_rules(predictions: list[Prediction], cases: list[Case], labels: Labels) -> Tidying:
    trial = Trial(labels)
    for prediction, case in zip(predictions, cases, strict=True):
        trial.add(prediction, case)
    return trial.choose(lambda rules: score_with(rules, predictions, cases, labels))


def score_with(rules: Rules, predictions: list[Prediction], cases: list[Case], labels: Labels) -> Iterator[CaseScores]:
    for prediction, case in zip(predictions, cases, strict=True):
        label = apply_rules(prediction.label, rules, prediction.geometry)
        yield score_prediction(replace(prediction, label=label), case, labels)


def class_dice(rules: Rules, predictions: list[Prediction], cases: list[Case]) -> list[float]:
    means = class_means(list(score_with(rules, predictions, cases, LABELS)), "dice")
    return [means["a"], means["b"]]


def test_specks_that_no_truth_has_are_removed() -> None:
    cases = held_out(*map(truth, range(4)))
    predictions = [predicted(case, with_specks(case.label, 1)) for case in cases]
    chosen = choose_rules(predictions, cases, LABELS)
    assert chosen.rules == (Largest(),)
    assert "mean Dice of 4 held-out cases 0.9" in chosen.reason
    assert "-> 1.0000, that of no class falls" in chosen.reason


def test_a_rule_is_refused_that_helps_on_average_and_costs_one_class() -> None:
    """Class 2 has a second true part apart from all else, class 1 has many false specks."""
    apart = [with_specks(truth(seed), 2) for seed in range(4)]
    cases = held_out(*apart)
    predictions = []
    for case in cases:
        label = case.label.copy()
        label[::3, ::3][label[::3, ::3] == 0] = 1
        predictions.append(predicted(case, label))
    chosen = choose_rules(predictions, cases, LABELS)
    assert chosen.rules == (Largest(of="class", classes=(1,)),)


def test_holes_are_filled_where_the_truth_has_none() -> None:
    cases = held_out(*map(truth, range(3)))
    predictions = []
    for case in cases:
        label = case.label.copy()
        row, col = np.argwhere(label == 2).min(axis=0)
        label[row + 3 : row + 5, col + 2 : col + 4] = 0
        predictions.append(predicted(case, label))
    assert choose_rules(predictions, cases, LABELS).rules == (FillHoles(classes=(2,)),)


def test_good_predictions_and_few_cases_need_no_rules() -> None:
    cases = held_out(*map(truth, range(3)))
    assert choose_rules([predicted(case, case.label) for case in cases], cases, LABELS).rules == ()
    speckled = [predicted(case, with_specks(case.label, 1)) for case in cases[:2]]
    assert choose_rules(speckled, cases[:2], LABELS).rules == ()
    assert choose_rules([], [], LABELS).rules == ()


def test_rules_that_pay_alone_are_scored_together_before_they_are_kept() -> None:
    """Alone, a's largest part and b's filled holes both pay; together a true part of a, within b, becomes b."""
    true = np.zeros((40, 40), dtype=np.int16)
    true[2:12, 2:12], true[20:32, 20:32], true[24:28, 24:28] = 1, 2, 1
    guess = true.copy()
    guess[21, 21] = 0
    for row in (2, 10, 18):
        guess[row : row + 3, 34:37] = 1
    cases = held_out(*[true] * 3)
    predictions = [predicted(case, guess) for case in cases]
    largest, filled = Largest(of="class", classes=(1,)), FillHoles(classes=(2,))
    base, a, b, both = (class_dice(r, predictions, cases) for r in ((), (largest,), (filled,), (largest, filled)))
    assert a[0] > base[0]
    assert b[1] > base[1]
    assert both[1] < base[1]
    assert choose_rules(predictions, cases, LABELS).rules == (largest,)


def test_rules_of_several_classes_are_kept_together_where_that_pays() -> None:
    cases = held_out(*map(truth, range(3)))
    guesses = [with_specks(case.label, 1) for case in cases]
    for guess in guesses:
        guess[0, :2] = 1
        row, col = np.argwhere(guess == 2).min(axis=0)
        guess[row + 3 : row + 5, col + 2 : col + 4] = 0
    predictions = [predicted(case, guess) for case, guess in zip(cases, guesses, strict=True)]
    chosen = choose_rules(predictions, cases, LABELS)
    assert chosen.rules == (Largest(of="class", classes=(1,)), FillHoles(classes=(2,)))
    assert "-> 1.0000" in chosen.reason


def test_masks_and_scores_of_a_run_are_those_of_the_model_with_its_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_blobs(tmp_path / "blobs")
    run = fit_tiny(data, tmp_path / "run", {"data.validation": 0.5, "train.epochs": 1})
    names = [path.stem for path in run.predictions.iterdir()]

    def speckle(case: Case, *, probabilities: bool) -> Prediction:
        assert not probabilities
        return predicted(case, with_specks(need_label(case), 1))

    monkeypatch.setattr(review_module, "load", lambda *_, **__: SimpleNamespace(predict=speckle))
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe")
    table = review_module.review(run, recipe, names, lambda _: None)
    assert load(run.path).config.postprocess == (Largest(),)
    assert table.foreground_dice == 1
    assert read_header(run.model).score["masks"] == 1
    assert {row["dice"] for row in read_csv(run.path / "scores.csv")} == {"1.0"}
    for name in names:
        np.testing.assert_array_equal(read_mask(run.predictions / f"{name}.png"), read_mask(data / f"masks/{name}.png"))
    assert "the rules that clean their masks" in run.report.read_text(encoding="utf-8")


def test_rules_and_their_reason_lie_in_the_model_s_recipe_and_nothing_else_changes(tmp_path: Path) -> None:
    path, recipe = tmp_path / "model.safetensors", Recipe()
    header = ModelHeader(to_toml(recipe, {}), 1, {"seed": 3}, {"dice": 0.5}, 4)
    write_model(path, {"w": torch.arange(4.0)}, header)
    store_rules(path, Tidying((Largest(), FillHoles(classes=(1,))), "mean Dice rises"))
    after = read_header(path)
    wanted = recipe.predict.model_copy(update={"postprocess": (Largest(), FillHoles(classes=(1,)))})
    assert read_recipe(after.recipe, "m") == recipe.model_copy(update={"predict": wanted})
    assert "# mean Dice rises" in after.recipe
    assert replace(after, recipe="") == replace(header, recipe="")
    assert read_weights(path)["w"].tolist() == [0, 1, 2, 3]


def test_a_recipe_s_own_rules_stay_and_others_are_told(tmp_path: Path) -> None:
    path, said = tmp_path / "model.safetensors", []
    paid = Tidying((Largest(),), "mean Dice rises")
    for rules in ([{"name": "fill_holes"}], []):
        recipe = Recipe.model_validate({"predict": {"postprocess": rules}})
        write_model(path, {"w": torch.ones(1)}, ModelHeader(to_toml(recipe, {})))
        assert keep_rules(path, recipe, Tidying((), "none paid"), said.append) == ()
        assert keep_rules(path, recipe, paid, said.append) == (() if rules else paid.rules)
        kept = read_recipe(read_header(path).recipe, "m").predict.postprocess
        assert kept == ((FillHoles(),) if rules else (Largest(),))
    assert [message.text for message in said] == [
        "the model cleans its masks (largest): mean Dice rises; `predict --postprocess none` does not"
    ]
