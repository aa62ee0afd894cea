"""Curves that were planted are told apart, and sound ones are left alone."""

from collections.abc import Mapping

import numpy as np
import pytest

from ushape.explain.doctor import History, examine, read_history

EPOCHS = 24
TIME = np.linspace(0, 1, EPOCHS)
FALL = 1.5 * np.exp(-4 * TIME) + 0.1
RISE = 0.88 * (1 - np.exp(-8 * TIME))
CELL: Mapping[str, np.ndarray] = {"cell": RISE}
UP_AND_DOWN = RISE - 0.15 * np.clip(TIME - 0.4, 0, None)

PLANTED: dict[str, tuple[History, set[str]]] = {
    "a sound run": (History(FALL, RISE, CELL, {f"c{i}": 0.85 + 0.01 * i for i in range(6)}), set()),
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
    "one bad case": (
        History(FALL, RISE, {}, {"a": 0.9, "b": 0.88, "c": 0.91, "wrong": 0.1, "empty": float("nan")}),
        {"cases far below the others"},
    ),
    "a run that was stopped": (History(FALL, RISE, is_finished=False, resume="ushape train --resume r"), {"cut off"}),
    "a run without an epoch": (History(FALL[:0], RISE[:0], is_finished=False), {"cut off"}),
    "a loss that is no number": (History(np.array([1.0, np.nan]), np.array([0.1, 0.1]), has_failed=True), {"diverged"}),
    "one epoch": (History(FALL[:1], RISE[-1:]), {"few epochs"}),
}


@pytest.mark.parametrize(("history", "names"), PLANTED.values(), ids=PLANTED)
def test_what_was_planted_is_found_and_nothing_else(history: History, names: set[str]) -> None:
    found = examine(history)
    assert {finding.name for finding in found} == names
    assert all(finding.says and finding.remedy for finding in found)


def test_findings_name_what_they_are_about() -> None:
    (missed,) = examine(PLANTED["a class that is missed"][0])
    assert missed.says.startswith("spot: ")
    (bad,) = examine(PLANTED["one bad case"][0])
    assert "wrong (0.10)" in bad.says
    (stopped,) = examine(PLANTED["a run that was stopped"][0])
    assert "after 24 epochs" in stopped.says
    assert "ushape train --resume r" in stopped.remedy
    (stuck,) = examine(PLANTED["nothing that moves"][0])
    assert "neither the loss nor validation" in stuck.says


def test_small_noise_is_no_finding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = RISE + rng.normal(0, 0.004, EPOCHS)
        assert examine(History(FALL + rng.normal(0, 0.005, EPOCHS), noisy, {"cell": noisy})) == ()


def test_metrics_are_read_as_they_are_written() -> None:
    rows = [{"train_loss": "1.0", "val_dice": "nan", "dice_cell": "nan"}, {"train_loss": "0.5", "val_dice": "0.25"}]
    history = read_history(rows)
    assert history.loss.tolist() == [1.0, 0.5]
    assert np.isnan(history.dice[0])
    assert history.dice[1] == 0.25
    assert np.isnan(history.classes["cell"]).all()
    assert read_history([]).epochs == 0
