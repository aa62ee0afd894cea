"""The tables of an explanation's page."""

from __future__ import annotations

from ushape.report.insight import show_numbers, show_share, show_size
from ushape.report.markup import Html, definition_list, join, tag
from ushape.report.words import format_number
from ushape.workflows.explanation import Explanation
from ushape.workflows.summary import tell_cleaning, tell_gates


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
    outcome = f"So it is {' and '.join(found.decision.decided)}."
    return join([*lines, tag("p", told), table, *(tag("p", each) for each in (*tell_cleaning(found), outcome))])


def show_gates(found: Explanation) -> Html:
    """Set the verdict of every gate, what to do, and the measures it was made from."""
    words = [(name, "; ".join(told)) for name, told in tell_gates(found).items()]
    head = ("gate", "inside", "outside", "contrast", "correlation", "with the border", "spread")
    rows = []
    for name, each in found.gates.items():
        numbers = (each.inside, each.outside, each.contrast, each.correlation, each.border, each.spread)
        rows.append((name, *map(format_number, numbers)))
    return join([definition_list(words), show_numbers(head, rows, caption="Attention gates")])
