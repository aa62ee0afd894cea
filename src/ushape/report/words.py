"""Numbers as words: what a reader who has never heard of Dice needs in order to judge a result."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import numpy as np

from ushape.report.contents import Aggregate, Baseline, Versus

NO_VALUE = "-"
UNITS = {"mm": "mm", "px": "px", "ml": "ml", "um": "µm", "s": "s", "pct": "%"}
NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "hd": "HD",
    "hd95": "HD95",
    "assd": "ASSD",
    "nsd": "NSD",
    "f1": "F1",
    "ap": "AP",
    "aji": "AJI",
}
WHAT_DICE_IS = (
    "Dice says how well the predicted area and the true area coincide: 1 is perfect, 0 means that they do not overlap."
)
WHAT_THE_INTERVAL_IS = (
    "The 95 % interval is the range in which the mean is expected to lie if other cases of the same kind were scored."
)

WHY_NO_INTERVAL = "There is no interval: fewer than five cases say too little about how other cases would score."
WHAT_A_DIFFERENCE_IS = (
    "Compared are the {cases} that both have. A dot is one case: to the right of 0 {name} has the higher Dice, to the "
    "left {other}. The difference is the mean over the cases, below it its 95 % interval; better / worse counts cases."
)
WHAT_P_IS = (
    "p is the chance of ranks so uneven if neither were better (Wilcoxon's signed-rank test). It is not corrected for "
    "the number of lines: one line in twenty is below 0.05 by chance."
)


def format_number(value: float, digits: int = 3) -> str:
    """Write a number so that a column of them reads well.

    >>> [format_number(value) for value in (0.91234, 12.345, 1234.5, 1.5e-5, 7.0, float("nan"))]
    ['0.912', '12.35', '1,234', '1.5e-05', '7.000', '-']
    """
    size = abs(value)
    if math.isnan(value):
        return NO_VALUE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if 0 < size < 10**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits if size < 10 else 2}f}" if size < 1000 else f"{value:,.0f}"


def format_interval(low: float, high: float) -> str:
    """Write an interval, or that there is none.

    >>> format_interval(0.893, 0.9291), format_interval(float("nan"), float("nan"))
    ('0.893 to 0.929', 'no interval')
    """
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{format_number(low)} to {format_number(high)}"


def format_change(value: float) -> str:
    """Write a difference with its sign.

    >>> format_change(0.05), format_change(-2.0), format_change(0.0)
    ('+0.050', '-2.000', '0.000')
    """
    return f"+{format_number(value)}" if value > 0 else format_number(value)


def format_chance(p_value: float) -> str:
    """Write a p-value.

    >>> format_chance(0.03125), format_chance(2e-7), format_chance(float("nan"))
    ('0.031', '< 0.001', '-')
    """
    return "< 0.001" if p_value < 0.001 else format_number(p_value)


def format_count(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> format_count(1, "case"), format_count(1200, "case")
    ('1 case', '1,200 cases')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def format_duration(seconds: float) -> str:
    """Write a duration with its two largest units.

    >>> [format_duration(seconds) for seconds in (42.4, 754.0, 9000.0)]
    ['42 s', '12 min 34 s', '2 h 30 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def measure_heading(measure: str) -> str:
    """Turn a column's name into a heading with its unit.

    >>> [measure_heading(column) for column in ("hd95_mm", "mean_ap", "nsd_2px", "boundary_f1_0.75pct")]
    ['HD95 (mm)', 'Mean AP', 'NSD 2 px', 'Boundary F1 0.75 %']
    """
    *words, last = measure.split("_")
    unit = f" ({UNITS[last]})" if words and last in UNITS else ""
    words = words if unit else [*words, last]
    text = " ".join(NAMES.get(word, _spaced(word)) for word in words)
    return text[:1].upper() + text[1:] + unit


def explain_scores(aggregates: Sequence[Aggregate], dices: Sequence[float], baseline: Baseline | None) -> list[str]:
    """Say in whole sentences what the headline numbers mean and how far to trust them."""
    means = [item.mean for item in aggregates if item.measure == "dice" and not math.isnan(item.mean)]
    sentences = [WHAT_DICE_IS]
    if dices:
        sentences.append(describe_spread(dices))
    if aggregates:
        has_interval = any(not math.isnan(item.low) for item in aggregates)
        sentences.append(WHAT_THE_INTERVAL_IS if has_interval else WHY_NO_INTERVAL)
    if baseline is not None and means:
        sentences.append(compare_baseline(sum(means) / len(means), baseline))
    return sentences


def describe_spread(dices: Sequence[float]) -> str:
    """Say how the cases lie around the mean.

    >>> describe_spread([0.5, 0.9])
    'The 2 cases reach from 0.500 to 0.900.'
    """
    if len(dices) < 2:
        return "Only one case was scored, so the number says nothing about how much cases differ."
    low, tenth, half, high = (format_number(float(q)) for q in np.quantile(np.asarray(dices), [0, 0.1, 0.5, 1]))
    if len(dices) < 10:
        return f"The {len(dices)} cases reach from {low} to {high}."
    return (
        f"Half of the {len(dices)} cases reach at least {half} and nine in ten at least {tenth}; the worst has {low}."
    )


def compare_baseline(mean: float, baseline: Baseline) -> str:
    """Set the model beside a simpler method, whichever is better.

    >>> compare_baseline(0.9, Baseline("Otsu's threshold", 0.8))
    "For comparison: Otsu's threshold has a mean Dice of 0.800 on the same cases; the model is 0.100 better."
    """
    gain = mean - baseline.dice
    verdict = f"{format_number(abs(gain))} {'better' if gain > 0 else 'worse'}" if abs(gain) >= 5e-4 else "no better"
    return (
        f"For comparison: {baseline.name} has a mean Dice of {format_number(baseline.dice)} on the same cases; "
        f"the model is {verdict}."
    )


def explain_versus(versus: Versus) -> list[str]:
    """Say how two sets of predictions were compared, and what the columns mean."""
    found = versus.comparison
    lines = [
        WHAT_A_DIFFERENCE_IS.format(cases=format_count(len(found.cases), "case"), name=versus.name, other=versus.other),
        WHAT_P_IS,
    ]
    for only, name in ((found.only_first, versus.name), (found.only_second, versus.other)):
        if only:
            lines.append(f"Only {name} has {', '.join(only)}; left out.")
    return lines


def _spaced(word: str) -> str:
    number = word.rstrip(string.ascii_letters)
    unit = word[len(number) :]
    return f"{number} {UNITS[unit]}" if number and unit in UNITS else word
