"""The sentences that say the outcome of an explanation."""

from __future__ import annotations

from collections.abc import Iterator

from ushape.explain.attention_maps import tell_judgement
from ushape.report.words import format_number
from ushape.workflows.explanation import Explanation
from ushape.workflows.lessons import tell_faults


def tell_summary(found: Explanation) -> Iterator[str]:
    """Say the outcome in a few sentences."""
    decided = found.decision.decided
    sure = " and ".join(format_number(found.probabilities[name]) for name in decided)
    true = f" The label says {' and '.join(found.true)}." if found.true else ""
    yield f"The {name_voxel(found.place)} is predicted as {' and '.join(decided)}, with a probability of {sure}.{true}"
    yield from tell_cleaning(found)
    if found.is_constant:
        yield "The image has one value everywhere: there is nothing in it that the network could see or keep."
    if found.spoken.name not in ("", *decided):
        yield f"Explained is {found.spoken.name}: {found.spoken.reason}."
    if found.members > 1:
        yield f"The model holds {found.members} networks, whose answers it averages; this is the first of them alone."
    yield from (f"Gate {name}: {says}." for name, (says, _) in tell_gates(found).items())
    if found.flow:
        yield from tell_faults(found.flow)


def tell_cleaning(found: Explanation) -> Iterator[str]:
    """Say what rules made of a voxel, if they changed its class."""
    if found.decision.cleaned:
        said = " and ".join(f"{name} ({format_number(found.probabilities[name])})" for name in found.decision.said)
        made = "; ".join(f"cleaning ({rule}) made it {' and '.join(made)}" for rule, made in found.decision.cleaned)
        yield f"The network says {said}; {made}."


def tell_gates(found: Explanation) -> dict[str, tuple[str, str]]:
    """Return the verdict on every gate in words, and what to do."""
    predicted = found.compared == "prediction"
    return {name: tell_judgement(judged, predicted=predicted) for name, judged in found.gates.items()}


def name_unit(place: tuple[int, ...]) -> str:
    """Name an element of the image: pixels are those of pictures."""
    return "pixel" if len(place) == 2 else "voxel"


def name_voxel(place: tuple[int, ...]) -> str:
    """Say where a voxel lies.

    >>> name_voxel((3, 14))
    'pixel at row 3, col 14'
    """
    axes = ("row", "col") if len(place) == 2 else ("z", "y", "x")
    at = ", ".join(f"{axis} {number}" for axis, number in zip(axes, place, strict=True))
    return f"{name_unit(place)} at {at}"
