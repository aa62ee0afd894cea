"""Many cases: means, how much the cases differ, and how sure the means are."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ushape.core.events import count
from ushape.measure.definitions import DISTANCES, base_measure
from ushape.measure.overlap import Empty
from ushape.measure.table import CaseScores, class_means, class_values, mean_foreground_dice

WHOLE_CASE = "all"
_CONFIDENCE = 0.95
_FEWEST = 5
_RESAMPLES = 2000


@dataclass(frozen=True)
class MeasureSummary:
    """One measure of one class over all cases.

    Attributes:
        class_name: "all" for measures of whole cases.
        mean: over `cases`; nan if there is none.
        std: sample standard deviation over them; nan if there are fewer than two.
        low: lower end of the 95 % bootstrap interval of the mean; nan if there are fewer than five.
        high: upper end.
        cases: how many cases the mean is over.
        both_empty: cases left out because neither mask has the class (or, for measures of objects, any object).
        one_empty: cases in which exactly one mask has it; distances are infinite there, and left out too.
    """

    class_name: str
    measure: str
    mean: float
    std: float
    low: float
    high: float
    cases: int
    both_empty: int = 0
    one_empty: int = 0

    @property
    def infinite(self) -> int:
        """How many infinite distances the mean leaves out."""
        return self.one_empty if base_measure(self.measure) in DISTANCES else 0


@dataclass(frozen=True)
class ScoreTable:
    """The scores of many cases."""

    cases: tuple[CaseScores, ...]

    @property
    def worst_first(self) -> ScoreTable:
        """The same scores, the case with the lowest foreground Dice first, cases without any last."""
        keys = {case.case_name: (math.isnan(case.foreground_dice), case.foreground_dice) for case in self.cases}
        return ScoreTable(tuple(sorted(self.cases, key=lambda case: keys[case.case_name])))

    @property
    def foreground_dice(self) -> float:
        """The mean foreground Dice, as `mean_foreground_dice`."""
        return mean_foreground_dice(self.cases)

    @property
    def mean_iou(self) -> float:
        """The mean over all classes, the background included, of their mean IoU; absent classes are skipped."""
        found = [iou for iou in class_means(self.cases, "iou").values() if not math.isnan(iou)]
        return sum(found) / len(found) if found else math.nan

    @property
    def class_measures(self) -> tuple[str, ...]:
        """The columns of the classes, each once."""
        return tuple(dict.fromkeys(key for case in self.cases for one in case.classes for key in one.measures()))

    @property
    def case_measures(self) -> tuple[str, ...]:
        """The columns of whole cases, each once."""
        return tuple(dict.fromkeys(key for case in self.cases for key in case.measures()))

    def summaries(self, *, seed: int = 0) -> tuple[MeasureSummary, ...]:
        """Summarise every measure of every class, then those of whole cases.

        Args:
            seed: of the bootstrap.
        """
        by_class = [one for measure in self.class_measures for one in self._summarise_classes(measure, seed)]
        by_case = [self._summarise_cases(measure, seed) for measure in self.case_measures]
        return (*by_class, *by_case)

    def foreground_summaries(self, measures: Container[str]) -> list[MeasureSummary]:
        """Summarise some measures, of the foreground classes and of whole cases."""
        names = {WHOLE_CASE} | {one.name for case in self.cases for one in case.foreground}
        return [one for one in self.summaries() if one.measure in measures and one.class_name in names]

    def _summarise_classes(self, measure: str, seed: int) -> list[MeasureSummary]:
        collected = class_values(self.cases, measure).items()
        return [_summarise(name, measure, values, seed, self._count_empty(name, measure)) for name, values in collected]

    def _summarise_cases(self, measure: str, seed: int) -> MeasureSummary:
        values = [case.measures().get(measure, math.nan) for case in self.cases if case.empty(measure) != "both"]
        known = [value for value in values if math.isfinite(value)]
        return _summarise(WHOLE_CASE, measure, known, seed, _count([case.empty(measure) for case in self.cases]))

    def _count_empty(self, name: str, measure: str) -> tuple[int, int]:
        found = [one for case in self.cases for one in case.classes if one.name == name]
        return _count([one.overlap.empty for one in found if measure in one.measures()])


def bootstrap_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """Estimate the 95 % interval of a mean from 2000 samples of the cases, drawn with replacement.

    The percentile method. nan if there are fewer than five values: resampling so few says little more than their range.
    The same seed gives the same interval.

    Source: Efron 1979, doi:10.1214/aos/1176344552.

    >>> low, high = bootstrap_interval([0.0, 1.0] * 50)
    >>> round(low, 1), round(high, 1)
    (0.4, 0.6)
    """
    if len(values) < _FEWEST:
        return math.nan, math.nan
    picks = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(np.asarray(values)[picks].mean(axis=1), (tail, 1 - tail))
    return float(low), float(high)


def explain_left_out(summaries: Iterable[MeasureSummary]) -> list[str]:
    """Say in a sentence for each class what its means leave out; none where they leave out nothing.

    >>> hd95 = MeasureSummary("liver", "hd95_mm", 0.0, 0.0, 0.0, 0.0, cases=3, both_empty=1, one_empty=2)
    >>> explain_left_out([hd95])
    ['liver: left out of means: 1 case without it in either mask; the infinite distances of 2 cases (one mask empty)']
    """
    found: dict[str, tuple[int, int]] = {}
    for one in summaries:
        both, infinite = found.get(one.class_name, (0, 0))
        found[one.class_name] = (max(both, one.both_empty), max(infinite, one.infinite))
    return [_explain_class(name, *counts) for name, counts in found.items() if any(counts)]


def _explain_class(name: str, both_empty: int, infinite: int) -> str:
    who, what = ("objects", "any") if name == WHOLE_CASE else (name, "it")
    parts = [f"{count(both_empty, 'case')} without {what} in either mask"] if both_empty else []
    parts += [f"the infinite distances of {count(infinite, 'case')} (one mask empty)"] if infinite else []
    return f"{who}: left out of means: {'; '.join(parts)}"


def _count(states: Sequence[Empty]) -> tuple[int, int]:
    both, neither = states.count("both"), states.count("none")
    return both, len(states) - both - neither


def _summarise(name: str, measure: str, values: list[float], seed: int, empty: tuple[int, int]) -> MeasureSummary:
    mean = float(np.mean(values)) if values else math.nan
    std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return MeasureSummary(name, measure, mean, std, *bootstrap_interval(values, seed=seed), len(values), *empty)
