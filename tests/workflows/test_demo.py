"""The demo and the Python calls: the whole flow in one go."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.train.tiny import TINY, Heard

from ushape.core.errors import OutputError
from ushape.core.events import Listener
from ushape.train.run_folder import RunFolder, default_output
from ushape.workflows import demo
from ushape.workflows.api import train
from ushape.workflows.design import FitRequest
from ushape.workflows.fit import fit


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_small(request: FitRequest, listener: Listener) -> RunFolder:
        return fit(replace(request, changes={**request.changes, **TINY}), listener)

    monkeypatch.setattr(demo, "fit", fit_small)
    monkeypatch.setattr(demo, "TRAINED", 3)
    monkeypatch.setattr(demo, "HELD_OUT", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_demo_makes_trains_predicts_measures_and_reports(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    result = demo.run_demo(place, 1.0, 0, Heard())
    assert 0 <= result.dice <= 1
    assert result.report.is_file()
    assert len(list((place / "masks").glob("*.png"))) == 2
    assert str(result.report) in result.text
    assert set(result.as_json()) == {"dice", "baseline", "model", "report", "images"}
    demo.run_demo(place, 1.0, 1, Heard())  # an earlier demo is replaced


@pytest.mark.parametrize("name", ["note.txt", "train/README.txt"])
def test_the_demo_never_clears_a_folder_that_is_none_of_its_own(tmp_path: Path, name: str) -> None:
    note = tmp_path / name
    note.parent.mkdir(exist_ok=True)
    note.write_text("mine", encoding="utf-8")
    for place in (tmp_path, note):
        with pytest.raises(OutputError, match="already there and no earlier demo"):
            demo.run_demo(place, 1.0, 0, Heard())
    assert note.read_text(encoding="utf-8") == "mine"


def test_python_trains_and_predicts_in_two_calls(blobs: Path, tmp_path: Path) -> None:
    model = train(blobs, tmp_path / "run", changes=TINY)
    prediction = model.predict(blobs / "images" / "case0.png")
    assert prediction.label.shape == (40, 48)
    assert prediction.probabilities is not None
    np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5)


def test_a_run_is_named_after_its_data_wherever_the_path_points(tmp_path: Path) -> None:
    assert default_output(tmp_path / "cells" / "..").name.startswith(f"{tmp_path.name}-")
