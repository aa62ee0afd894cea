"""Training and evaluation as single calls from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ushape.core.events import Listener, ignore_events
from ushape.measure.summary import ScoreTable
from ushape.train.run_folder import default_output
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.design import FitRequest
from ushape.workflows.evaluate import EvaluateRequest, evaluate_folder
from ushape.workflows.fit import fit
from ushape.workflows.infer import BatchResult, predict_files
from ushape.workflows.judge import Measuring
from ushape.workflows.model import Model, load


def train(
    data: str | Path,
    output: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    foreground: bool = False,
    listener: Listener = ignore_events,
) -> Model:
    """Train on a folder of images and masks, and return the best model.

    Args:
        output: the run folder; None makes one under runs/.
        recipe: a recipe file, complete or naming some choices only.
        changes: recipe fields by dotted name, such as {"train.minutes": 2}.
        foreground: train all label values above 0 as one class.
        listener: is told what happens (see `ushape.core.events`).
    Raises:
        UshapeError: the data, the recipe or the output cannot be used.
    """
    folder = Path(output) if output is not None else default_output(Path(data))
    chosen = Path(recipe) if recipe is not None else None
    run = fit(FitRequest(Path(data), folder, chosen, changes or {}, foreground), listener)
    return load(run.path)


def predict_folder(model: Model, source: str | Path, output: str | Path, *, overlays: bool = False) -> BatchResult:
    """Predict a file or a folder of images and write their masks; a bad image is listed and the others go on.

    Raises:
        DataError: there is nothing to predict.
        OutputError: the output is the folder of the images, or cannot be written.
    """
    return predict_files(model, Path(source), Path(output), OutputOptions(overlays=overlays))


def evaluate(
    predictions: str | Path,
    truth: str | Path,
    output: str | Path | None = None,
    *,
    foreground: bool = False,
    instances: bool = False,
) -> ScoreTable:
    """Measure predictions, and write scores and report if there is an `output` folder.

    Args:
        foreground: take every label value above 0 for one class.
        instances: masks hold a number for each object; see `Measuring`.
    Raises:
        DataError: as `assess`.
        OutputError: the output cannot be written.
    """
    measuring = Measuring(foreground=foreground, instances=instances)
    place = Path(output) if output is not None else None
    request = EvaluateRequest(Path(predictions), Path(truth), place, measuring=measuring)
    return evaluate_folder(request).table
