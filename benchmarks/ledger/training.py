"""Claims on Dice: read from what `ablations.py` has trained, seed by seed."""

from __future__ import annotations

import statistics

from ablations import FOUND, GROUPS, dice_of, differences, spread
from ledger.claim import Claim, Finding, Record, Verdict

PENDING: Verdict = "not measured yet"
UNSEEN: Verdict = "no difference seen here"
FEWEST = 3
"""Seeds below which nothing is said."""


def judge(apart: dict[str, list[float]], claimed: float) -> Verdict:
    """Judge a claimed difference in Dice by the differences of seeds, per data set.

    A difference is seen where its mean exceeds its spread. The claim holds if it is seen everywhere, with the claimed
    sign and size, the spread allowed for; it depends if it is seen somewhere, or is smaller.

    >>> judge({"a": [0.05, 0.06, 0.07]}, 0.07), judge({"a": [0.01, -0.01, 0.02]}, 0.07)
    ('holds', 'no difference seen here')
    >>> judge({"a": [0.05, 0.06, 0.07], "b": [0.0, 0.01, -0.01]}, 0.05), judge({"a": [-0.05, -0.06, -0.07]}, 0.05)
    ('depends', 'the opposite seen here')
    """
    means = {name: statistics.mean(each) for name, each in apart.items()}
    seen = {name: mean for name, mean in means.items() if abs(mean) > spread(apart[name])}
    if not means:
        return PENDING
    if not seen:
        return UNSEEN
    if all(mean * claimed < 0 for mean in seen.values()):
        return "the opposite seen here"
    sized = all(abs(means[name]) + 2 * spread(apart[name]) >= abs(claimed) for name in seen)
    alike = len(seen) == len(means) and all(mean * claimed > 0 for mean in seen.values())
    return "holds" if alike and sized else "depends"


def dice_claim(words: str, group: str, variant: str, claimed: float) -> Claim:
    """Claim that a variant's Dice is so much above that of its group's first one."""

    def measure(record: Record) -> Finding:
        apart = {name: differences(record, group, name, variant) for name in GROUPS[group].data}
        enough = {name: each for name, each in apart.items() if len(each) >= FEWEST}
        cells = [describe(record, group, name, variant) for name in enough]
        cells += [f"{name}: not trained yet, `make claims`" for name in apart if name not in enough]
        return Finding("; ".join(cells), judge(enough, claimed))

    return Claim(words, measure, "trained")


def describe(record: Record, group: str, set_name: str, variant: str) -> str:
    first, apart = next(iter(GROUPS[group].variants)), differences(record, group, set_name, variant)
    dice = [statistics.mean(dice_of(record, group, set_name, name).values()) for name in (first, variant)]
    change = f"{100 * statistics.mean(apart):+.1f} points (spread {100 * spread(apart):.1f}, {len(apart)} seeds)"
    return f"{set_name}: {first} {dice[0]:.3f}, {variant} {dice[1]:.3f}, {change}"


def count_stable(record: Record) -> Finding:
    """Count, at each rate, the runs that learnt anything."""
    cells, gained, lost = [], 0, 0
    for variant in GROUPS["clipping"].variants:
        dice = dice_of(record, "clipping", "vessels", variant).values()
        if len(dice) < GROUPS["clipping"].seeds:
            return Finding("not trained yet, `make claims`", PENDING)
        stable = sum(each >= FOUND for each in dice)
        gained, lost = (gained + stable, lost) if ", clipped" in variant else (gained, lost + stable)
        cells.append(f"{variant}: {stable} of {len(dice)}")
    runs = 5 * len(GROUPS["clipping"].variants) / 2
    text = f"runs that found the vessels (Dice of {FOUND:g} after 40 steps of SGD): {'; '.join(cells)}"
    verdict: Verdict = "depends" if (gained - lost) / runs > 0.1 else UNSEEN if gained >= lost else "does not hold"
    return Finding(text, verdict)


CLAIMS = (
    dice_claim(
        "A rate that falls in steps gains 3 points of Dice over a fixed one (0.78, 0.81)", "schedule", "step", 0.03
    ),
    dice_claim("A cosine gains 5 points over a fixed rate (0.78, 0.83)", "schedule", "cosine", 0.05),
    dice_claim("A cyclic rate gains 7 points over a fixed one (0.78, 0.85)", "schedule", "cyclic", 0.07),
    dice_claim("Bilinear upsampling gains 1.2 points over transposed (0.812, 0.824)", "upsampling", "linear", 0.012),
    dice_claim("Nearest upsampling gains 0.7 points over transposed (0.812, 0.819)", "upsampling", "nearest", 0.007),
    dice_claim("Online augmentation gains 7 %", "augmentation", "all of the plan", 0.07),
    dice_claim("A bias before batch norm costs 2 % of Dice", "bias", "with", -0.02),
    dice_claim(
        "The 8.3 % of Dice that attention gates gain on the pancreas, they gain elsewhere too",
        "attention",
        "gated",
        0.083,
    ),
    Claim("Clipping gradients raises the stable runs from 65 to 92 %", count_stable, "trained"),
)
