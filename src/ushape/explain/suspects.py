"""Cases whose labels may be wrong: they agree far less than others with networks that never saw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

LEAST = 4
"""Cases from which on one can stand out."""
TRUSTED = 0.5
"""Median Dice below which the predictions are too poor to accuse a label."""
SPREADS = 3.0
"""How many usual spreads below the median a case stands out."""
GAP = 0.1
"""And by how much Dice at least: where all cases are alike a small difference is many spreads."""
MOSTLY = 0.8
"""Share of the voxels that differ from which on they tell one story."""
APART = 0.2
"""Share of foreground in both from which on label and prediction mean the same object."""
SHOWN = 20
"""How many are listed."""


@dataclass(frozen=True)
class Difference:
    """Where a label and a prediction differ, in voxels that the label does not leave open.

    Attributes:
        both: foreground in both, of the same class.
        other: foreground in both, but of different classes.
        missed: foreground of the label alone; `extra` of the prediction alone.
    """

    both: int
    other: int
    missed: int
    extra: int

    @property
    def differ(self) -> int:
        """How many voxels differ."""
        return self.other + self.missed + self.extra


def find_suspects(dice: Mapping[str, float]) -> tuple[str, ...]:
    """Return the cases whose Dice lies far below the others', the worst first.

    Far is `SPREADS` times the median distance from the median (times 1.4826, which makes it the standard deviation of
    normal scores), and at least `GAP`. Half of the cases may be wrong before this measure is. None stands out among
    fewer than `LEAST`, or if the median lies below `TRUSTED`. A Dice of NaN, a case without foreground, is left out.

    Source: Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers (the modified z-score).

    >>> find_suspects({"a": 0.9, "b": 0.91, "c": 0.3, "d": 0.88, "e": 0.9})
    ('c',)
    """
    if explain_silence(dice):
        return ()
    known = {name: score for name, score in dice.items() if math.isfinite(score)}
    scores = np.array(list(known.values()))
    middle = float(np.median(scores))
    limit = middle - max(SPREADS * 1.4826 * float(np.median(np.abs(scores - middle))), GAP)
    return tuple(name for name in sorted(known, key=lambda name: (known[name], name)) if known[name] < limit)


def explain_silence(dice: Mapping[str, float]) -> str:
    """Say why no label can be accused, whatever the cases are; "" if one could be.

    >>> explain_silence({"a": 0.9, "b": 0.2})
    'too few of them can be compared, 4 are needed'
    """
    known = [score for score in dice.values() if math.isfinite(score)]
    if len(known) < LEAST:
        return f"too few of them can be compared, {LEAST} are needed"
    middle = float(np.median(known))
    return "" if middle >= TRUSTED else f"the predictions are too poor to accuse one (median Dice {middle:.2f})"


def compare(label: Integer[ndarray, "*space"], prediction: Integer[ndarray, "*space"]) -> Difference:
    """Count where a label and a prediction agree and differ; negative labels are left out.

    >>> compare(np.array([0, 1, 1, 2, -1]), np.array([1, 1, 0, 1, 1]))
    Difference(both=1, other=1, missed=1, extra=1)
    """
    true, said, counted = label > 0, prediction > 0, label >= 0
    same = label == prediction
    parts = (true & said & same, true & said & ~same, true & ~said, said & ~true & counted)
    return Difference(*(int(part.sum()) for part in parts))


def name_difference(found: Difference) -> str:
    """Say what kind of fault a difference looks like, the first of `KINDS` that holds.

    >>> name_difference(Difference(both=0, other=0, missed=0, extra=50))
    'nothing is labelled, but the prediction finds something'
    """
    return next(says for says, holds in KINDS.items() if holds(found))


KINDS: Mapping[str, Callable[[Difference], bool]] = {
    "nothing is labelled, but the prediction finds something": lambda d: d.both + d.other + d.missed == 0,
    "the prediction finds nothing of what is labelled": lambda d: d.both + d.other + d.extra == 0,
    "both agree where, but not on which class: are classes mixed up?": lambda d: d.other > d.differ / 2,
    "they lie in different places: another image's mask, or a shifted one?": lambda d: (
        d.both + d.other < APART * (d.both + d.differ) and max(d.missed, d.extra) < MOSTLY * d.differ
    ),
    "most that differs is found but not labelled: is the label incomplete?": lambda d: d.extra >= MOSTLY * d.differ,
    "most that differs is labelled but not found: does the label hold too much?": lambda d: (
        d.missed >= MOSTLY * d.differ
    ),
    "both miss parts of each other: is the outline right, is the mask shifted?": lambda _: True,
}
"""What a difference may mean, and when it does."""
