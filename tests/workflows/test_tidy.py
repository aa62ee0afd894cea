"""Rules are chosen by what they do to held-out cases, and only if no class pays for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ushape.core.case import Case, Geometry, Prediction
from ushape.core.labels import Labels
from ushape.core.model_file import ModelHeader, read_header, read_weights, write_model
from ushape.plan.recipe import Recipe, read_recipe, to_toml
from ushape.predict.postprocess import FillHoles, Largest
from ushape.workflows.tidied import keep_rules, store_rules
from ushape.workflows.tidy import Tidying, Trial

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
    return trial.choose()


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
        keep_rules(path, recipe, Tidying((), "none paid"), said.append)
        keep_rules(path, recipe, paid, said.append)
        kept = read_recipe(read_header(path).recipe, "m").predict.postprocess
        assert kept == ((FillHoles(),) if rules else (Largest(),))
    assert [message.text for message in said] == [
        "the model cleans its masks (largest): mean Dice rises; `predict --postprocess none` does not"
    ]
