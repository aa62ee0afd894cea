"""What a report is made of: plain records that any workflow can fill."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Integer
from numpy import ndarray

from ushape.core.case import ArrayLike, Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.measure.compare import PairedComparison
from ushape.measure.summary import MeasureSummary

Row = Mapping[str, object]
"""One row of a table on disk: column name to number, text or nothing."""


@dataclass(frozen=True)
class Setting:
    """One choice of the recipe, as text, and why it was made; `name` is dotted: "net.widths"."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class Aggregate:
    """The mean of one measure over the cases of one class, with its 95 % interval.

    Attributes:
        measure: the column it was made from: "dice", "hd95_mm".
        low: lower end of the interval; NaN where there are too few cases for one.
        cases: how many cases the mean is over; those without the class are not among them.
        infinite: how many infinite distances it leaves out.
    """

    class_name: str
    measure: str
    mean: float
    low: float
    high: float
    cases: int
    infinite: int = 0

    @classmethod
    def of(cls, one: MeasureSummary) -> Aggregate:
        """Take what a report shows of a summary."""
        return cls(one.class_name, one.measure, one.mean, one.low, one.high, one.cases, one.infinite)


@dataclass(frozen=True)
class Baseline:
    """A simpler method on the same cases; `dice` is the mean over the foreground classes."""

    name: str
    dice: float


@dataclass(frozen=True)
class Versus:
    """The same cases as another set of predictions has them.

    Attributes:
        name: of the predictions that the report is about.
        other: of those beside them.
        comparison: what differs, in means over the cases.
        dices: class to the difference in Dice of each case.
    """

    name: str
    other: str
    comparison: PairedComparison
    dices: Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One case to draw.

    Attributes:
        image: (channels, *space) of any type.
        prediction: class indices.
        label: class indices, negative where nothing counts; None if there is no truth.
        dice: what the caption quotes, NaN to quote nothing.
        geometry: gives pictures their proportions, and volumes their anatomical planes; None for square voxels.
        window: intensities drawn black and white; None takes the 0.5 and 99.5 percentile of what is shown.
    """

    case: str
    caption: str
    image: ArrayLike
    prediction: Integer[ndarray, "*space"]
    label: Integer[ndarray, "*space"] | None = None
    dice: float = math.nan
    geometry: Geometry | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.prediction.ndim not in (2, 3):
            raise ShapeError(f"{self.case}: expected a prediction of 2 or 3 axes, got {self.prediction.shape}")
        self._check_grid("image", tuple(self.image.shape[1:]))
        if self.label is not None:
            self._check_grid("label", self.label.shape)

    def _check_grid(self, what: str, space: tuple[int, ...]) -> None:
        if space != self.prediction.shape:
            raise ShapeError(
                f"{self.case}: prediction has shape {self.prediction.shape} but {what} has {space}; "
                "a picture needs both on one grid"
            )


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that one report shows. Any part may be empty: the report says what it therefore leaves out.

    Attributes:
        summary: whole sentences, put first: what was trained on what, for how long, how it was scored.
        curves: rows of metrics.csv: step, epoch, train_loss, val_dice, lr, seconds; a cell may be empty.
        gradients: a row per layer, of the last step looked at: layer, norm, zeros, weights, change, dead, fault.
        classes: names, the background first.
        scores: one row per case and class: case, class, dice, and whatever else was measured; no measure where neither
            mask has the class.
        left_out: sentences on what the aggregates leave out.
        environment: versions and machine, as text.
        next_steps: command lines; a line that starts with "#" explains the one after it.
        definitions: measure to its definition; the keys are columns of `scores`.
    """

    title: str
    summary: Sequence[str] = ()
    settings: Sequence[Setting] = ()
    curves: Sequence[Row] = ()
    gradients: Sequence[Row] = ()
    classes: Sequence[str] = ("background", "foreground")
    scores: Sequence[Row] = ()
    aggregates: Sequence[Aggregate] = ()
    left_out: Sequence[str] = ()
    overlays: Sequence[Overlay] = ()
    baseline: Baseline | None = None
    versus: Versus | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    next_steps: Sequence[str] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)


def read_number(row: Row, column: str) -> float:
    """Return a cell as a number; NaN if it is missing or empty.

    Raises:
        DataError: the cell holds text that is no number.

    >>> read_number({"dice": "0.5"}, "dice"), read_number({"dice": ""}, "dice")
    (0.5, nan)
    """
    cell = row.get(column)
    if cell is None or cell == "":
        return math.nan
    try:
        return float(str(cell))
    except ValueError:
        raise DataError(f"{column}: expected a number, got {cell!r}; correct the table") from None


def read_text(row: Row, column: str) -> str:
    """Return a cell as text, "" if it is missing."""
    return str(row.get(column, ""))


def values_by_class(scores: Sequence[Row], measure: str) -> dict[str, list[float]]:
    """Collect a measure's values of all cases, for each class.

    >>> values_by_class([{"class": "x", "dice": 0.9}, {"class": "x", "dice": ""}], "dice")
    {'x': [0.9, nan]}
    """
    found: dict[str, list[float]] = {}
    for row in scores:
        found.setdefault(read_text(row, "class"), []).append(read_number(row, measure))
    return found


def dice_per_case(scores: Sequence[Row]) -> dict[str, float]:
    """Return each case's mean Dice over its classes, worst first; cases without any Dice are left out.

    >>> dice_per_case([{"case": "a", "class": "x", "dice": 0.9}, {"case": "b", "class": "x", "dice": 0.5}])
    {'b': 0.5, 'a': 0.9}
    """
    found: dict[str, list[float]] = {}
    for row in scores:
        dice = read_number(row, "dice")
        if not math.isnan(dice):
            found.setdefault(read_text(row, "case"), []).append(dice)
    means = {case: sum(values) / len(values) for case, values in found.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def notable_cases(scores: Sequence[Row], each: int = 2) -> dict[str, str]:
    """Pick the cases worth drawing: the best, the middle and the worst by mean Dice, each once.

    Args:
        each: how many of each kind; fewer are returned if there are not enough cases.
    Returns:
        Case name to a caption that says its rank; the worst is always called so.

    >>> rows = [{"case": name, "class": "x", "dice": dice} for name, dice in [("a", 0.9), ("b", 0.5), ("c", 0.7)]]
    >>> notable_cases(rows, each=1)
    {'a': 'Best of 3', 'c': 'Middle of 3', 'b': 'Worst of 3'}
    """
    worst_first = list(dice_per_case(scores))
    count = len(worst_first)
    captions: dict[str, str] = {}
    middle = max((count - each) // 2, 0)
    kinds = {"Best": worst_first[:0:-1][:each], "Worst": worst_first[:each], "Middle": worst_first[middle:][:each]}
    for kind, cases in kinds.items():
        for rank, case in enumerate(cases):
            captions.setdefault(case, _rank_caption(kind, rank, count))
    order = {case: -place for place, case in enumerate(worst_first)}
    return dict(sorted(captions.items(), key=lambda item: order[item[0]]))


def _rank_caption(kind: str, rank: int, count: int) -> str:
    if count == 1:
        return "The only scored case"
    if kind == "Middle" or rank == 0:
        return f"{kind} of {count}"
    return f"{_ordinal(rank + 1)} {kind.lower()} of {count}"


def _ordinal(number: int) -> str:
    return {2: "Second", 3: "Third"}.get(number, f"{number}th")
