"""Curves that were planted are told apart, and sound ones are left alone."""

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ushape.core.config import parse_assignment, with_fields
from ushape.explain import attention_maps, doctor, gradients, history, suspects
from ushape.explain.attention_maps import VERDICTS
from ushape.explain.doctor import examine
from ushape.explain.history import History, read_history
from ushape.nets.config import UNetConfig
from ushape.plan.recipe import Recipe

DOCUMENTED = {
    doctor: ("FLAT", "GOOD", "FALL", "LOST", "EARLY", "RISE", "TOP", "NEVER", "JUMPY"),
    history: ("SHORTEST",),
    suspects: ("SPREADS", "GAP", "LEAST", "TRUSTED"),
    gradients: ("EXPLODES", "HARDLY", "DEAD"),
    attention_maps: ("UNIFORM", "RELATED", "CLEARLY"),
}

EPOCHS = 24
TIME = np.linspace(0, 1, EPOCHS)
FALL = 1.5 * np.exp(-4 * TIME) + 0.1
RISE = 0.88 * (1 - np.exp(-8 * TIME))
CELL: Mapping[str, np.ndarray] = {"cell": RISE}
UP_AND_DOWN = RISE - 0.15 * np.clip(TIME - 0.4, 0, None)

PLANTED: dict[str, tuple[History, set[str]]] = {
    "a sound run": (History(FALL, RISE, CELL), set()),
    "a run that was good at once": (History(FALL, np.full(EPOCHS, 0.95)), set()),
    "later epochs that got worse": (History(FALL, UP_AND_DOWN), {"overfitting"}),
    "worse, but the loss did not fall": (History(np.full(EPOCHS, 0.5), UP_AND_DOWN), set()),
    "still rising": (History(FALL, 0.7 * TIME), {"too short"}),
    "a flat curve": (History(FALL, np.full(EPOCHS, 0.31)), {"plateau"}),
    "nothing that moves": (History(np.full(EPOCHS, 1.2), np.full(EPOCHS, 0.02)), {"plateau"}),
    "a class that is missed": (
        History(FALL, RISE, {"cell": RISE, "spot": np.zeros(EPOCHS)}),
        {"class never learnt"},
    ),
    "a class that no case has": (History(FALL, RISE, {"cell": RISE, "spot": np.full(EPOCHS, np.nan)}), set()),
    "jumps": (History(FALL, np.where(np.arange(EPOCHS) % 2, 0.8, 0.5)), {"unsteady"}),
    "no validation": (History(FALL, np.full(EPOCHS, np.nan)), {"not validated"}),
    "a run that was stopped": (History(FALL, RISE, is_finished=False, resume="ushape train --resume r"), {"cut off"}),
    "a run without an epoch": (History(FALL[:0], RISE[:0], is_finished=False), {"cut off"}),
    "a loss that is no number": (History(np.array([1.0, np.nan]), np.array([0.1, 0.1]), has_failed=True), {"diverged"}),
    "one epoch": (History(FALL[:1], RISE[-1:]), {"few epochs"}),
}


LOW = np.linspace(0.5, 0.5, EPOCHS)
EDGES: dict[str, tuple[History, History]] = {
    "plateau": (
        History(FALL, LOW + 0.018 * TIME),
        History(FALL, LOW + 0.022 * TIME),
    ),
    "overfitting": (
        History(FALL, 0.8 - 0.04 * np.clip(TIME - 0.2, 0, None) / 0.8),
        History(FALL, 0.8 - 0.026 * np.clip(TIME - 0.2, 0, None) / 0.8),
    ),
    "too short": (History(FALL, 0.5 + 0.07 * TIME), History(FALL, 0.5 + 0.05 * TIME)),
    "class never learnt": (
        History(FALL, RISE, {"spot": np.full(EPOCHS, 0.049)}),
        History(FALL, RISE, {"spot": np.full(EPOCHS, 0.051)}),
    ),
    "unsteady": (
        History(FALL, 0.7 + 0.055 * (-1.0) ** np.arange(EPOCHS)),
        History(FALL, 0.7 + 0.045 * (-1.0) ** np.arange(EPOCHS)),
    ),
    "few epochs": (History(FALL[:3], RISE[:3]), History(FALL[:4], RISE[:4])),
}


@pytest.mark.parametrize(("name", "sides"), EDGES.items(), ids=EDGES)
def test_each_threshold_parts_what_lies_on_either_side(name: str, sides: tuple[History, History]) -> None:
    beyond, within = ({finding.name for finding in examine(history)} for history in sides)
    assert (name in beyond, name in within) == (True, False)


@pytest.mark.parametrize(("history", "names"), PLANTED.values(), ids=PLANTED)
def test_what_was_planted_is_found_and_nothing_else(history: History, names: set[str]) -> None:
    found = examine(history)
    assert {finding.name for finding in found} == names
    assert all(finding.says and finding.remedy for finding in found)


def test_findings_name_what_they_are_about() -> None:
    (missed,) = examine(PLANTED["a class that is missed"][0])
    assert missed.says.startswith("spot: ")
    (stopped,) = examine(PLANTED["a run that was stopped"][0])
    assert "after 24 epochs" in stopped.says
    assert "ushape train --resume r" in stopped.remedy
    (stuck,) = examine(PLANTED["nothing that moves"][0])
    assert "neither the loss nor validation" in stuck.says


def test_a_run_of_few_epochs_is_told_to_validate_more_often_only_if_its_steps_do_for_that() -> None:
    for steps, asks in ((39, ""), (159, ""), (160, "steps_per_epoch=20"), (600, "steps_per_epoch=75")):
        (few,) = examine(History(FALL[:3], RISE[:3], steps=steps))
        assert (few.name, "train longer" in few.remedy) == ("few epochs", True)
        assert ("steps_per_epoch" in few.remedy, asks in few.remedy) == (bool(asks), True)


def test_small_noise_is_no_finding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = RISE + rng.normal(0, 0.004, EPOCHS)
        assert examine(History(FALL + rng.normal(0, 0.005, EPOCHS), noisy, {"cell": noisy})) == ()


def test_metrics_are_read_as_they_are_written() -> None:
    rows = [
        {"step": "13", "train_loss": "1.0", "val_dice": "nan", "dice_cell": "nan"},
        {"step": "26", "train_loss": "0.5", "val_dice": "0.25"},
    ]
    history = read_history(rows)
    assert history.steps == 26
    assert history.loss.tolist() == [1.0, 0.5]
    assert np.isnan(history.dice[0])
    assert history.dice[1] == 0.25
    assert np.isnan(history.classes["cell"]).all()
    assert read_history([]).epochs == 0


def test_thresholds_are_those_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text(encoding="utf-8")
    told = re.findall(r"`([A-Z]+)` = (\d+(?:[./]\d+)?)", page)
    assert {name: float(Fraction(value)) for name, value in told} == {
        name: getattr(module, name) for module, names in DOCUMENTED.items() for name in names
    }
    named = [*(symptom.name for symptom in doctor.SYMPTOMS), *gradients.FAULTS]
    assert all(f"\n| {name} |" in page for name in named)


def test_remedies_name_fields_that_exist() -> None:
    filled = [symptom.remedy.replace("{finer}", "75") for symptom in doctor.SYMPTOMS]
    remedies = filled + [remedy for _, remedy in VERDICTS.values()]
    changes = {change for remedy in remedies for change in re.findall(r"--set ([a-z_.]+=[\w.]*\w)", remedy)}
    assert len(changes) > 4
    for change in changes:
        net = UNetConfig(widths=(4, 8), skip="concat" if "net.skip" in change else "gate")
        name, value = parse_assignment(change)
        assert with_fields(Recipe(net=net), {name: value})
