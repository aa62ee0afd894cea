"""Evaluate a folder of predictions, alone or beside another one, and write it down where that is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ushape.core.events import count
from ushape.io.listing import tell_apart
from ushape.io.pairs import refuse
from ushape.measure.compare import PairedComparison, compare_tables, dice_differences
from ushape.measure.summary import ScoreTable
from ushape.report.contents import Setting, Versus
from ushape.train.run_folder import versions
from ushape.workflows.assess import DEFAULT, Assessment, assess
from ushape.workflows.classes import read_classes
from ushape.workflows.judge import Measuring
from ushape.workflows.publish import Story, publish


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate.

    Attributes:
        predictions: a folder of masks.
        truth: a folder of masks, or the data set they belong to.
        output: where scores and report go; None writes nothing.
        against: another folder of predictions of the same cases.
        model: whose classes name the values in the masks; a model file, a run or a model of a hub.
        only_predicted: leave true masks without a prediction out; else they are refused.
    """

    predictions: Path
    truth: Path
    output: Path | None = None
    against: Path | None = None
    measuring: Measuring = DEFAULT
    model: Path | None = None
    only_predicted: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What was found: the scores, the case with the lowest foreground Dice first, and how another folder compares.

    Attributes:
        left_out: true masks without a prediction.
        warnings: what is odd about the classes.
    """

    table: ScoreTable
    comparison: PairedComparison | None = None
    left_out: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def evaluate_folder(request: EvaluateRequest) -> Evaluation:
    """Measure predictions, compare them with others of which either may lack cases, and write scores and report.

    Raises:
        DataError: as `assess`, or neither has a prediction for some of the truth.
        OutputError: the output cannot be written.
    """
    assessed = _assess(request, request.predictions)
    table = assessed.table.worst_first
    versus = _compare(request, request.against, assessed) if request.against is not None else None
    if request.output is not None:
        publish(request.output, table, assessed.labels.names, assessed.draw, _tell(request, assessed, versus))
    left_out = () if versus else assessed.missing
    return Evaluation(table, versus.comparison if versus else None, left_out, assessed.warnings)


def _assess(request: EvaluateRequest, predictions: Path) -> Assessment:
    partial = request.only_predicted or request.against is not None
    classes = read_classes(request.model) if request.model else None
    return assess(predictions, request.truth, request.measuring, partial=partial, classes=classes)


def _compare(request: EvaluateRequest, against: Path, assessed: Assessment) -> Versus:
    other = _assess(request, against)
    missing = [path for path in assessed.missing if path in other.missing and not request.only_predicted]
    remedy = "predict these images too, or leave them out with --only-predicted"
    refuse(missing, "a prediction for each true mask", "none in either folder", remedy)
    comparison = compare_tables(assessed.table, other.table)
    names = tell_apart(request.predictions, against)
    return Versus(*names, comparison, dice_differences(assessed.table, other.table))


def _tell(request: EvaluateRequest, assessed: Assessment, versus: Versus | None) -> Story:
    summary = [f"{count(len(assessed.table.cases), 'prediction')} compared with the true masks.", *assessed.warnings]
    if request.only_predicted:
        summary.append(f"{count(len(assessed.missing), 'true mask')} without a prediction left out.")
    measuring = [Setting(f"evaluate.{name}", str(value)) for name, value in asdict(request.measuring).items() if value]
    places = {"predictions": request.predictions, "truth": request.truth, "against": request.against}
    settings = [Setting(f"evaluate.{what}", str(path)) for what, path in places.items() if path]
    title = f"Evaluation of {request.predictions.resolve().name}"
    measured_by = {name: version for name, version in versions().items() if name not in ("torch", "lightning")}
    return Story(title, summary, settings=[*settings, *measuring], environment=measured_by, versus=versus)
