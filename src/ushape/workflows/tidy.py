"""Choose rules that clean predictions, by held-out cases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.labels import Labels
from ushape.measure.table import CaseScores, class_means
from ushape.predict.postprocess import AnyRule, FillHoles, Largest, apply_rules
from ushape.workflows.scoring import score_prediction

FEWEST_CASES = 3
"""With fewer held-out cases no rule is chosen: what helps them may be chance."""
SMALLEST_GAIN = 0.0005
"""By which the mean Dice of some class must rise for a rule to be kept."""

Rules = tuple[AnyRule, ...]


@dataclass(frozen=True)
class Tidying:
    """The rules that were chosen.

    Attributes:
        rules: in the order in which they are applied.
        reason: what they did to Dice, in words.
    """

    rules: Rules
    reason: str


class Trial:
    """Tries rules on held-out cases, one case after the other; only their scores are kept.

    For each class: its largest component, its holes filled, or both; these rules touch no other class. And the largest
    component of the whole foreground.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        numbers = range(1, labels.count) if labels.overlap == "none" else ()
        self._of_class = {k: _class_options((k,)) for k in numbers}
        options = [(Largest(),), *itertools.chain(*self._of_class.values())] if self._of_class else []
        self._scores: dict[Rules, list[CaseScores]] = {rules: [] for rules in ((), *options)}

    def add(self, prediction: Prediction, case: Case) -> None:
        """Score every option on a case with a label, on the grid of its prediction."""
        for rules, scores in self._scores.items():
            label = apply_rules(prediction.label, rules, prediction.geometry) if rules else prediction.label
            scores.append(score_prediction(replace(prediction, label=label), case, self.labels))

    def choose(self, score: Callable[[Rules], Iterable[CaseScores]]) -> Tidying:
        """Choose the rules with the highest mean foreground Dice, among those that let that of no class fall.

        What is best for each class is tried together too: rules of one class may take holes or pieces from another's.

        Args:
            score: predicts all cases with some rules and scores them.
        """
        cases = len(self._scores[()])
        if cases < FEWEST_CASES or not self._of_class:
            why = f"fewer than {FEWEST_CASES} held-out cases" if self._of_class else "classes that may overlap"
            return Tidying((), f"none was tried: {why}")
        tried = {rules: self._dice(scores) for rules, scores in self._scores.items()}
        together = self._join(tried)
        if together not in tried:
            tried[together] = self._dice(tuple(score(together)))
        base = tried[()]
        fair = {rules: dice.mean() for rules, dice in tried.items() if (dice >= base).all()}
        rules = max(fair, key=lambda one: fair[one])
        if (tried[rules] - base).max() < SMALLEST_GAIN:
            return Tidying((), f"none paid on {cases} held-out cases")
        change = f"mean Dice of {cases} held-out cases {base.mean():.4f} -> {fair[rules]:.4f}"
        return Tidying(rules, f"{change}, that of no class falls")

    def _join(self, tried: Mapping[Rules, ndarray]) -> Rules:
        """Join for each class the rules that raise its Dice most, if they raise it enough."""
        best = {k: max(options, key=lambda rules: tried[rules][k - 1]) for k, options in self._of_class.items()}
        paying = [rules for k, rules in best.items() if (tried[rules] - tried[()])[k - 1] >= SMALLEST_GAIN]
        return tuple(itertools.chain(*paying))

    def _dice(self, scores: Sequence[CaseScores]) -> ndarray:
        """Return the mean Dice of each foreground class; 1 for one that no case has, neither predicted nor true."""
        means = class_means(scores, "dice")
        return np.nan_to_num([means[name] for name in self.labels.names[1:]], nan=1.0)


def _class_options(classes: tuple[int]) -> list[Rules]:
    largest, filled = Largest(of="class", classes=classes), FillHoles(classes=classes)
    return [(largest,), (filled,), (largest, filled)]
