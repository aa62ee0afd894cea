"""The tables and sentences of an explanation's page."""

from __future__ import annotations

from collections.abc import Iterator

from ushape.explain.attention_maps import tell_verdict
from ushape.report.insight import show_numbers, show_share, show_size
from ushape.report.markup import Html, definition_list, join, tag
from ushape.report.words import format_number
from ushape.workflows.explanation import Explanation
from ushape.workflows.lessons import tell_faults


def tell_summary(found: Explanation) -> Iterator[str]:
    """Say the outcome in a few sentences."""
    sure = max(found.probabilities.values())
    true = f" The label says {found.true}." if found.true else ""
    voxel = name_voxel(found.place)
    yield f"The {voxel} is predicted as {found.decided}, with a probability of {format_number(sure)}.{true}"
    if found.members > 1:
        yield f"The model holds {found.members} networks, whose answers it averages; this is the first of them alone."
    yield from (f"Gate {name}: {says}." for name, (says, _) in tell_gates(found).items())
    if found.flow:
        yield from tell_faults(found.flow)


def tell_gates(found: Explanation) -> dict[str, tuple[str, str]]:
    """Return the verdict on every gate in words, and what to do."""
    predicted = found.compared == "prediction"
    return {name: tell_verdict(judged.verdict, predicted=predicted) for name, judged in found.gates.items()}


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


def stage_table(found: Explanation) -> Html:
    """Set the layer table with what every row keeps."""
    head = ("stage", "operation", "channels", "size", "sees", "image kept", "answer kept", "zeros", "silent", "odd one")
    rows = [
        (
            each.row.stage,
            each.row.operation,
            str(each.row.shape[1]),
            show_size(each.row.shape[2:]),
            show_size(each.row.receptive_field),
            show_share(each.image_kept),
            show_share(each.answer_kept),
            show_share(each.zeros),
            str(each.silent),
            f"{each.strongest[0]} ({each.strongest[1]:.1f})",
        )
        for each in found.rows
    ]
    return show_numbers(head, rows, caption="Through the network")


def show_story(found: Explanation, head: str) -> Html:
    """Set a voxel's way from the file's value to its class."""
    values = [(step.name, ", ".join(format_number(value) for value in step.values)) for step in found.values.steps]
    lines = [tag("p", "From the file to the network, the value of each channel:"), show_numbers(
        ("step", "value"), values, caption="Values of the voxel")]  # fmt: skip
    logits = [format_number(value) for value in found.logits]
    told = "It was cropped off before the network, so it is background."
    if found.values.place is not None:
        told = (
            f"The network sees it at {', '.join(map(str, found.values.place))} and gives a logit for each output; "
            f"{head} turns these into probabilities, those of all windows that cover it are averaged, the middle of a "
            "window counting most, and brought back to the image's own grid:"
        )
    logits = [""] * (len(found.probabilities) - len(logits)) + logits
    shares = [
        (*pair, format_number(found.probabilities[pair[0]])) for pair in zip(found.probabilities, logits, strict=True)
    ]
    table = show_numbers(("class", "logit", "probability"), shares, caption="Probabilities")
    return join([*lines, tag("p", told), table, tag("p", f"So it is {found.decided}.")])


def show_gates(found: Explanation) -> Html:
    """Set the verdict of every gate, what to do, and the measures it was made from."""
    words = [(name, "; ".join(told)) for name, told in tell_gates(found).items()]
    head = ("gate", "inside", "outside", "contrast", "correlation", "with the border", "entropy")
    rows = []
    for name, each in found.gates.items():
        numbers = (each.inside, each.outside, each.contrast, each.correlation, each.border, each.entropy)
        rows.append((name, *map(format_number, numbers)))
    return join([definition_list(words), show_numbers(head, rows, caption="Attention gates")])
