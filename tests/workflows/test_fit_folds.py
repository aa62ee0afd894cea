"""Folds: which cases they hold out, and what becomes of all of them together."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import write_blobs
from tests.train.tiny import Heard, fit_tiny, weights

from ushape.core.errors import ConfigError, DataError, Interrupted
from ushape.core.events import Message, Validation, ignore_events
from ushape.core.files import read_csv, read_json
from ushape.core.model_file import read_header, split_members
from ushape.plan.recipe import read_recipe
from ushape.train.run_folder import RunFolder
from ushape.workflows import training as training_module
from ushape.workflows.fit import resume
from ushape.workflows.model import load

SHORT = {"train.epochs": 1, "train.steps_per_epoch": 2}
THREE = {**SHORT, "data.fold": "all", "data.folds": 3}
Crossed = tuple[Path, RunFolder, Heard]


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Crossed:
    folder, heard = tmp_path_factory.mktemp("crossed"), Heard()
    data = write_blobs(folder / "blobs")
    return data, fit_tiny(data, folder / "run", THREE, heard), heard


def test_over_all_folds_each_case_is_held_out_once(crossed: Crossed) -> None:
    _, run, _ = crossed
    splits = [read_json(run.fold(number).splits) for number in range(3)]
    assert sorted(name for split in splits for name in split["validation"]) == [f"case{i}" for i in range(6)]
    assert all(not set(split["training"]) & set(split["validation"]) for split in splits)


def test_the_ensemble_is_one_file_that_predicts_the_mean_of_its_members(crossed: Crossed) -> None:
    data, run, _ = crossed
    header, image = read_header(run.model), data / "images" / "case0.png"
    members = split_members(weights(run), header.members)
    for number, member in enumerate(members):
        alone = weights(run.fold(number))
        assert member.keys() == alone.keys()
        assert all((member[name] == alone[name]).all() for name in alone)
    apart = [load(run.fold(number).path).predict(image).probabilities for number in range(3)]
    together = load(run.path).predict(image).probabilities
    assert together is not None
    np.testing.assert_allclose(together, np.mean([each for each in apart if each is not None], axis=0), atol=1e-5)
    assert header.provenance is not None
    assert header.provenance["training_cases"] == 6


def test_the_table_has_every_fold_the_mean_and_both_spreads(crossed: Crossed) -> None:
    _, run, heard = crossed
    rows = {row["fold"]: row for row in read_csv(run.comparison)}
    folds = [float(rows[str(number)]["dice"]) for number in range(3)]
    best = [event.score for event in heard.of(Validation)]
    assert folds == pytest.approx(best, abs=1e-5)
    cases = [float(row["foreground_dice"]) for n in range(3) for row in read_csv(run.fold(n).path / "cases.csv")]
    assert float(rows["all"]["dice"]) == pytest.approx(np.mean(cases), abs=1e-6)
    assert float(rows["std over folds"]["dice"]) == pytest.approx(np.std(folds, ddof=1), abs=1e-6)
    assert float(rows["std over cases"]["dice"]) == pytest.approx(np.std(cases, ddof=1), abs=1e-6)
    score = read_header(run.model).score
    assert score is not None
    assert score["mean"] == pytest.approx(np.mean(cases))
    assert score["folds"] == pytest.approx(folds, abs=1e-6)
    assert "6 cases; standard deviation" in heard.of(Message)[-1].text
    assert "Cross-validation on 3 folds" in run.report.read_text(encoding="utf-8")
    assert not run.prepared.exists()


def test_going_on_leaves_finished_folds_alone_and_ends_as_if_undisturbed(
    crossed: Crossed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, whole, _ = crossed
    place, plain, calls = tmp_path / "run", training_module.run_training, iter(range(9))

    def interrupted(*arguments: Any) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        plain(*arguments)

    monkeypatch.setattr(training_module, "run_training", interrupted)
    with pytest.raises(Interrupted, match=rf"go on .* ushape train --resume {place}$"):
        fit_tiny(data, place, THREE)
    run = RunFolder(place)
    before = run.fold(0).model.stat().st_mtime_ns
    resume(place, ignore_events)
    assert run.fold(0).model.stat().st_mtime_ns == before
    assert next(calls) == 4  # one finished, one broken off and begun again, one new
    ours, theirs = weights(run), weights(whole)
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_a_budget_is_shared_among_the_folds(blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def stop(run: RunFolder, *_: Any) -> None:
        seen.append(read_recipe(run.recipe.read_text(encoding="utf-8"), "recipe"))

    monkeypatch.setattr("ushape.workflows.folds.train_split", stop)
    with pytest.raises(Exception, match="model"):  # nothing was trained
        fit_tiny(blobs, tmp_path / "run", {**THREE, "train.minutes": 30})
    assert [recipe.data.fold for recipe in seen] == [0, 1, 2]
    assert {round(float(recipe.train.minutes)) for recipe in seen} == {10}
    assert len({recipe.train.minutes for recipe in seen}) == 1


def test_one_fold_trains_alone_and_keeps_patients_together(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs", count=6)
    for number in range(6):
        for kind in ("images", "masks"):
            (data / kind / f"case{number}.png").rename(data / kind / f"p{number // 2}_{number}.png")
    run = fit_tiny(data, tmp_path / "run", {**SHORT, "data.groups": "^p[0-9]", "data.fold": 1, "data.folds": 3})
    assert len({name[:2] for name in read_json(run.splits)["validation"]}) == 1
    with pytest.raises(DataError, match=r"5 folds: expected at least as many cases or patients, got 3; lower --folds"):
        fit_tiny(data, tmp_path / "refused", {**SHORT, "data.groups": "^p[0-9]", "data.fold": "all"})
    assert not (tmp_path / "refused").exists()


def test_with_nothing_held_out_every_case_trains(blobs: Path, tmp_path: Path) -> None:
    heard = Heard()
    run = fit_tiny(blobs, tmp_path / "run", {**SHORT, "data.fold": "none"}, heard)
    assert len(read_json(run.splits)["training"]) == 6
    assert any("training on all 6 cases" in message.text for message in heard.of(Message))
    assert all(math.isnan(event.score) for event in heard.of(Validation))
    assert run.model.is_file()


@pytest.mark.parametrize(
    ("fold", "message"),
    [(7, r"--fold 7 of 5 folds: expected 0\.\.4"), ("most", r"data\.fold: .*'share', 'all' or 'none'.* got 'most'")],
)
def test_a_fold_that_does_not_exist_is_refused(blobs: Path, tmp_path: Path, fold: int | str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_tiny(blobs, tmp_path / "run", {**SHORT, "data.fold": fold})
    assert not (tmp_path / "run").exists()
