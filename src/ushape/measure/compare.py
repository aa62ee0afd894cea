"""Two sets of predictions of the same cases, case by case: how far apart, and whether that may be chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ushape.core.errors import DataError
from ushape.measure.definitions import better_sign
from ushape.measure.summary import WHOLE_CASE, ScoreTable, bootstrap_interval
from ushape.measure.table import CaseScores

_MOST_EXACT = 50


@dataclass(frozen=True)
class PairedDifference:
    """One measure of one class in two predictions of the same cases.

    Attributes:
        class_name: "all" for measures of whole cases.
        mean: of the first predictions, over `cases`.
        other_mean: of the second.
        difference: mean of first minus second; nan if there is no case.
        low: lower end of its 95 % bootstrap interval; nan if there are fewer than five cases.
        high: upper end.
        p_value: of Wilcoxon's signed-rank test, two-sided; 1 if no case differs, nan if there is no case.
        cases: how many have the measure in both.
        better: in how many the first is better; smaller distances are better.
        worse: in how many it is worse.
        left_out: cases in which either has no finite number, though one of them or the label has the class.
    """

    class_name: str
    measure: str
    mean: float
    other_mean: float
    difference: float
    low: float
    high: float
    p_value: float
    cases: int
    better: int
    worse: int
    left_out: int


@dataclass(frozen=True)
class PairedComparison:
    """Two sets of predictions, matched by the names of their cases.

    Attributes:
        differences: one for each class and measure, then for the measures of whole cases.
        cases: the names of the matched cases.
        only_first: cases that only the first set has; they are not compared.
        only_second: cases that only the second set has.
    """

    differences: tuple[PairedDifference, ...]
    cases: tuple[str, ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()


def compare_tables(first: ScoreTable, second: ScoreTable, *, seed: int = 0) -> PairedComparison:
    """Compare two tables over the cases that both have.

    Foreground classes only; measures that are neither good nor bad, such as volumes, are left out. p-values are of
    single comparisons, not corrected for their number.

    Raises:
        DataError: no case is in both.

    >>> import numpy as np
    >>> from ushape.measure.table import score_case
    >>> grid = {"classes": 2, "spacing": (1.0, 1.0), "unit": "px", "name": "a"}
    >>> truth, guess = np.array([[0, 1, 1]]), np.array([[0, 0, 1]])
    >>> tables = [ScoreTable((score_case(mask, truth, **grid),)) for mask in (truth, guess)]
    >>> found = compare_tables(*tables).differences[0]
    >>> found.class_name, found.measure, round(found.difference, 3), found.better
    ('1', 'dice', 0.333, 1)
    """
    pairs = _pair_cases(first, second)
    measures = [measure for measure in first.class_measures if better_sign(measure)]
    names = dict.fromkeys(one.name for case, _ in pairs for one in case.foreground)
    both = [(name, measure) for name in names for measure in measures]
    found = [_compare(name, measure, _pair_values(pairs, name, measure), seed) for name, measure in both]
    found += [_compare_cases(pairs, measure, seed) for measure in first.case_measures if better_sign(measure)]
    shared = tuple(case.case_name for case, _ in pairs)
    only = [tuple(c.case_name for c in table.cases if c.case_name not in shared) for table in (first, second)]
    return PairedComparison(tuple(found), shared, *only)


def dice_differences(first: ScoreTable, second: ScoreTable) -> dict[str, list[float]]:
    """List the difference in Dice, first minus second, of each case that has the class, by foreground class.

    Raises:
        DataError: no case is in both.
    """
    pairs = _pair_cases(first, second)
    names = dict.fromkeys(one.name for case, _ in pairs for one in case.foreground)
    return {name: [one - other for one, other in _pair_values(pairs, name, "dice")] for name in names}


def signed_rank(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; 1 if nothing differs, nan if there is nothing.

    Cases that do not differ are dropped, as Wilcoxon did. Exact for up to 50 cases, equal ranks included, by counting
    the signs that give each sum of ranks; beyond that the normal approximation. With five cases the smallest possible
    value is 0.06.

    Source: Wilcoxon 1945, doi:10.2307/3001968.

    >>> signed_rank([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), signed_rank([0.0, 0.0])
    (0.03125, 1.0)
    """
    if not differences:
        return math.nan
    rounded = np.round(np.asarray(differences, dtype=float), 12)  # what differs by rounding does not differ
    rounded = rounded[rounded != 0]
    if not rounded.size:
        return 1.0
    from scipy import stats

    if rounded.size > _MOST_EXACT:
        return float(stats.wilcoxon(rounded, method="asymptotic").pvalue)
    doubled = np.round(2 * stats.rankdata(np.abs(rounded))).astype(int)
    ways = np.ones(1)
    for rank in doubled:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    reached = int(doubled[rounded > 0].sum())
    fewer = min(ways[: reached + 1].sum(), ways[reached:].sum())
    return float(min(1.0, 2 * fewer / ways.sum()))


def _pair_cases(first: ScoreTable, second: ScoreTable) -> list[tuple[CaseScores, CaseScores]]:
    others = {case.case_name: case for case in second.cases}
    pairs = [(case, others[case.case_name]) for case in first.cases if case.case_name in others]
    if not pairs:
        names = [", ".join(case.case_name for case in table.cases[:3]) for table in (first, second)]
        raise DataError(
            f"comparison: expected cases of the same names, got {names[0]} and {names[1]}; rename the files"
        )
    return pairs


def _pair_values(pairs: Sequence[tuple[CaseScores, CaseScores]], name: str, measure: str) -> list[tuple[float, float]]:
    """Take a measure of one class from both, where the class is in a prediction or in the label."""
    values = []
    for pair in pairs:
        found = [one for case in pair for one in case.classes if one.name == name]
        if len(found) == 2 and any(one.overlap.empty != "both" for one in found):
            values.append((found[0].measures().get(measure, math.nan), found[1].measures().get(measure, math.nan)))
    return values


def _compare_cases(pairs: Sequence[tuple[CaseScores, CaseScores]], measure: str, seed: int) -> PairedDifference:
    found = [pair for pair in pairs if any(case.empty(measure) != "both" for case in pair)]
    values = [(one.measures().get(measure, math.nan), other.measures().get(measure, math.nan)) for one, other in found]
    return _compare(WHOLE_CASE, measure, values, seed)


def _compare(name: str, measure: str, values: Sequence[tuple[float, float]], seed: int) -> PairedDifference:
    known = np.array([pair for pair in values if all(map(math.isfinite, pair))], dtype=float).reshape(-1, 2)
    apart = known[:, 0] - known[:, 1]
    gains = np.round(better_sign(measure) * apart, 12)
    means = known.mean(axis=0) if len(known) else np.full(2, math.nan)
    return PairedDifference(
        name,
        measure,
        float(means[0]),
        float(means[1]),
        float(means[0] - means[1]),
        *bootstrap_interval(apart.tolist(), seed=seed),
        signed_rank(apart.tolist()),
        len(known),
        int((gains > 0).sum()),
        int((gains < 0).sum()),
        len(values) - len(known),
    )
