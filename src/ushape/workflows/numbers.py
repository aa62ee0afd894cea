"""The tables and sentences of an explanation's page."""

from __future__ import annotations

from collections.abc import Iterator

from ushape.explain.attention_maps import VERDICTS
from ushape.explain.gradients import FAULTS, GradientFlow
from ushape.report.insight import FLOW, show_numbers, show_share, show_size
from ushape.report.markup import Html, definition_list, join, paragraphs, tag
from ushape.report.words import format_number
from ushape.workflows.explanation import Explanation


def tell_summary(found: Explanation) -> Iterator[str]:
    """Say the outcome in a few sentences."""
    at = ", ".join(map(str, found.place))
    sure = max(found.probabilities.values())
    true = f" The label says {found.true}." if found.true else ""
    yield f"The voxel at {at} is predicted as {found.decided}, with a probability of {format_number(sure)}.{true}"
    for name, judged in found.gates.items():
        yield f"Gate {name}: {VERDICTS[judged.verdict][0]}."
    if found.flow:
        yield from tell_faults(found.flow)


def stage_table(found: Explanation) -> Html:
    """Set the layer table with what every row keeps."""
    head = ("stage", "operation", "channels", "size", "sees", "per number", "image kept", "answer kept", "zeros",
            "silent", "stands out")  # fmt: skip
    rows = [
        (
            each.row.stage,
            each.row.operation,
            str(each.row.shape[1]),
            show_size(each.row.shape[2:]),
            show_size(each.row.receptive_field),
            format_number(each.share, 2),
            show_share(each.image_kept),
            show_share(each.answer_kept),
            show_share(each.zeros),
            str(each.silent),
            f"channel {each.strongest[0]}, {each.strongest[1]:.1f} SD",
        )
        for each in found.rows
    ]
    return show_numbers(head, rows, caption="Through the network")


def show_story(found: Explanation) -> Html:
    """Set a voxel's way from the file's value to its class."""
    values = [(step.name, ", ".join(format_number(value) for value in step.values)) for step in found.values.steps]
    lines = [tag("p", "From the file to the network, the value of each channel:"), show_numbers(
        ("step", "value"), values, caption="Values of the voxel")]  # fmt: skip
    if found.values.place is None:
        lines.append(tag("p", "It was cropped off before the network, so it is background."))
    else:
        logits = ", ".join(format_number(value) for value in found.logits)
        lines.append(tag("p", f"The network sees it at {', '.join(map(str, found.values.place))} and gives the logits "
                              f"{logits}."))  # fmt: skip
    shares = [(name, format_number(share)) for name, share in found.probabilities.items()]
    lines.append(tag("p", "As probabilities, all windows that cover it blended, on the image's own grid:"))
    lines.append(show_numbers(("class", "probability"), shares, caption="Probabilities of the voxel"))
    return join([*lines, tag("p", f"So it is {found.decided}.")])


def show_gates(found: Explanation) -> Html:
    """Set the verdict of every gate, what to do, and the measures it was made from."""
    words = [(name, "; ".join(VERDICTS[each.verdict])) for name, each in found.gates.items()]
    head = ("gate", "inside", "outside", "contrast", "correlation", "with the border", "entropy")
    rows = []
    for name, each in found.gates.items():
        numbers = (each.inside, each.outside, each.contrast, each.correlation, each.border, each.entropy)
        rows.append((name, *map(format_number, numbers)))
    return join([definition_list(words), show_numbers(head, rows, caption="Attention gates")])


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
