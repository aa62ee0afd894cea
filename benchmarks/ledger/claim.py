"""What a row of the ledger is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal[
    "holds",
    "does not hold",
    "depends",
    "no difference seen here",
    "the opposite seen here",
    "cannot be measured here",
    "not measured yet",
]
Kind = Literal["computed", "timed", "trained"]
"""Computed afresh whenever the page is made; or kept in benchmarks/results, from a run on an idle machine."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What was measured, and whether the claim stands."""

    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Claim:
    """One number that guides to U-Net quote.

    Attributes:
        words: the claim, in our own words.
        measure: takes what is stored of its kind (see `claims.py`; empty for "computed") and looks.
    """

    words: str
    measure: Callable[[Record], Finding]
    kind: Kind = "computed"


def unmeasurable(words: str, why: str) -> Claim:
    """Say of a claim why nothing here can tell."""
    return Claim(words, lambda _: Finding(why, "cannot be measured here"))


def compare(claimed: float, measured: float, tolerance: float = 0.02) -> Verdict:
    """Let a number hold if it is right to a share of itself.

    >>> compare(55, 55.4), compare(55, 31)
    ('holds', 'does not hold')
    """
    return "holds" if abs(measured - claimed) <= tolerance * abs(claimed) else "does not hold"
