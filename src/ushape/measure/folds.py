"""The scores of all folds of a cross-validation side by side: means, and how far folds and cases spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FoldScores:
    """The scores of the cases that one fold held out.

    Attributes:
        dice: the Dice of each case that has the class, by class name, foreground only.
        cases: the mean foreground Dice of each case.
    """

    dice: Mapping[str, Sequence[float]]
    cases: Sequence[float]

    @property
    def means(self) -> dict[str, float]:
        """The mean Dice of each class; NaN where no case has it."""
        return {name: _mean(values) for name, values in self.dice.items()}

    @property
    def mean(self) -> float:
        """The mean over the classes of their mean Dice, as in validation; NaN without any."""
        return _mean([mean for mean in self.means.values() if not math.isnan(mean)])


@dataclass(frozen=True)
class Comparison:
    """All folds of a cross-validation; a fold without a case that can be scored counts nowhere.

    >>> folds = FoldScores({"cell": [0.5, 0.7]}, [0.5, 0.7]), FoldScores({"cell": [0.8]}, [0.8])
    >>> for row in Comparison(folds).rows():
    ...     print(*row.values())
    0 2 0.600000 0.600000
    1 1 0.800000 0.800000
    all 3 0.666667 0.666667
    std over folds 2 0.141421 0.141421
    std over cases 3 0.152753 0.152753
    """

    folds: tuple[FoldScores, ...]

    @property
    def pooled(self) -> FoldScores:
        """The cases of all folds together."""
        dice = {name: [value for fold in self.folds for value in fold.dice[name]] for name in self.folds[0].dice}
        return FoldScores(dice, [value for fold in self.folds for value in fold.cases])

    @property
    def std_over_folds(self) -> float:
        """The sample standard deviation of the folds' mean Dice; NaN of fewer than two."""
        return _spread([fold.mean for fold in self.folds])

    @property
    def std_over_cases(self) -> float:
        """The sample standard deviation of the cases' mean foreground Dice; NaN of fewer than two."""
        return _spread(self.pooled.cases)

    def rows(self) -> list[dict[str, object]]:
        """Return the table: a row per fold, then the means over all cases, then the spread of folds and of cases."""
        pooled = self.pooled
        of_folds = {name: _spread([fold.means[name] for fold in self.folds]) for name in pooled.dice}
        of_cases = {name: _spread(values) for name, values in pooled.dice.items()}
        means = [_row(str(number), len(fold.cases), fold.means, fold.mean) for number, fold in enumerate(self.folds)]
        return [
            *means,
            _row("all", len(pooled.cases), pooled.means, pooled.mean),
            _row("std over folds", len(self.folds), of_folds, self.std_over_folds),
            _row("std over cases", len(pooled.cases), of_cases, self.std_over_cases),
        ]


def _row(name: str, count: int, classes: Mapping[str, float], mean: float) -> dict[str, object]:
    dice = {f"dice_{class_name}": value for class_name, value in classes.items()} | {"dice": mean}
    shown = {column: "" if math.isnan(value) else f"{value:.6f}" for column, value in dice.items()}
    return {"fold": name, "count": count, **shown}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _spread(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan
