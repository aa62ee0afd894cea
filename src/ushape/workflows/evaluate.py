"""Evaluate a folder of predictions, alone or beside another one, and write it down where that is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ushape.core.events import count
from ushape.io.pairs import refuse
from ushape.measure.compare import PairedComparison, compare_tables, dice_differences
from ushape.measure.summary import ScoreTable
from ushape.report.contents import Setting, Versus
from ushape.train.run_folder import versions
from ushape.workflows.assess import DEFAULT, Assessment, assess
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
    """

    predictions: Path
    truth: Path
    output: Path | None = None
    against: Path | None = None
    measuring: Measuring = DEFAULT


@dataclass(frozen=True)
class Evaluation:
    """What was found: the scores, the case with the lowest foreground Dice first, and how another folder compares."""

    table: ScoreTable
    comparison: PairedComparison | None = None


def evaluate_folder(request: EvaluateRequest) -> Evaluation:
    """Measure predictions, compare them with others, and write the scores and the report.

    Beside other predictions, either may lack cases that the other has.

    Raises:
        DataError: as `assess`, or neither has a prediction for some of the truth.
        OutputError: the output cannot be written.
    """
    assessed = assess(request.predictions, request.truth, request.measuring, partial=request.against is not None)
    table = assessed.table.worst_first
    versus = _compare(request, request.against, assessed) if request.against is not None else None
    if request.output is not None:
        publish(request.output, table, assessed.labels.names, assessed.draw, _tell(request, table, versus))
    return Evaluation(table, versus.comparison if versus else None)


def _compare(request: EvaluateRequest, against: Path, assessed: Assessment) -> Versus:
    other = assess(against, request.truth, request.measuring, partial=True)
    missing = [path for path in assessed.missing if path in other.missing]
    refuse(missing, "a prediction for each true mask", "none in either folder", "predict these images too")
    comparison = compare_tables(assessed.table, other.table)
    names = tell_apart(request.predictions, against)
    return Versus(*names, comparison, dice_differences(assessed.table, other.table))


def tell_apart(path: Path, other: Path) -> tuple[str, str]:
    """Name two folders by the ends of their paths, as far back as they differ.

    >>> tell_apart(Path("runs/a/masks"), Path("runs/b/masks"))
    ('a/masks', 'b/masks')
    """
    parts, others = path.resolve().parts, other.resolve().parts
    longest = max(len(parts), len(others))
    length = next((n for n in range(1, longest) if parts[-n:] != others[-n:]), longest)
    return "/".join(parts[-length:]), "/".join(others[-length:])


def _tell(request: EvaluateRequest, table: ScoreTable, versus: Versus | None) -> Story:
    summary = f"{count(len(table.cases), 'prediction')} compared with the true masks."
    measuring = [Setting(f"evaluate.{name}", str(value)) for name, value in asdict(request.measuring).items() if value]
    places = {"predictions": request.predictions, "truth": request.truth, "against": request.against}
    settings = [Setting(f"evaluate.{what}", str(path)) for what, path in places.items() if path]
    title = f"Evaluation of {request.predictions.resolve().name}"
    return Story(title, [summary], settings=[*settings, *measuring], environment=measuring_versions(), versus=versus)


def measuring_versions() -> dict[str, str]:
    """List the versions of what measures and draws."""
    return {name: version for name, version in versions().items() if name not in ("torch", "lightning")}
