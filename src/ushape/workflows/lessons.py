"""What gradients would teach each layer, as a table and as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ushape.explain.gradients import FAULTS, GradientFlow
from ushape.report.insight import FLOW, show_numbers, show_share
from ushape.report.markup import Html, join, paragraphs, tag
from ushape.report.words import format_number


def show_flow(flow: GradientFlow) -> Html:
    """Set what reaches every layer."""
    head = ("layer", "gradient", "zeros", "weights", "step", "fault")
    rows = [
        (each.layer, format_number(each.norm), show_share(each.zeros), format_number(each.weight),
         format_number(each.step), FAULTS[each.fault][0] if each.fault else "")
        for each in flow.layers
    ]  # fmt: skip
    note = tag("p", FLOW.format(loss=format_number(flow.loss)), class_="note")
    return join([note, paragraphs(tell_faults(flow)), show_numbers(head, rows, caption="Gradients")])


def tell_faults(flow: GradientFlow) -> Iterator[str]:
    """Say what is wrong with the gradients, and what to do."""
    for each in flow.layers:
        if each.fault:
            yield f"{each.layer}: {FAULTS[each.fault][0]}; {FAULTS[each.fault][1]}."
    for unit in flow.dead:
        yield f"{unit.layer}: {unit.dead} of {unit.channels} channels of this ReLU are 0 in the whole window."
