"""What the marks of a figure mean, and its totals in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ushape.explain.figure import Figure, Step
from ushape.explain.svg import TIMES, Canvas, measure_text
from ushape.nets.sizes import output_space

STYLES = {"attention gate": "thin dash", "shortcut": "thin"}
UNITS = (("T", 1e12), ("G", 1e9), ("M", 1e6))
LINE, SWATCH, COLUMN_GAP, MOST = 19, 34, 36, 3


def draw_legend(canvas: Canvas, figure: Figure) -> None:
    """Write what each arrow stands for, in two columns below the figure, and the totals."""
    entries = list(list_entries(figure))
    left, right = entries[: math.ceil(len(entries) / 2)], entries[math.ceil(len(entries) / 2) :]
    top = canvas.bottom + 40
    second = 24 + SWATCH + max(measure_text(words) for _, words in left) + COLUMN_GAP
    for x, column in ((24.0, left), (second, right)):
        for number, (kind, words) in enumerate(column):
            y = top + LINE * number
            canvas.arrow([(x, y - 4), (x + SWATCH - 10, y - 4)], kind, STYLES.get(words.split(":")[0], ""))
            canvas.text(x + SWATCH, y, words)
    canvas.text(24.0, top + LINE * len(left) + 12, summarise(figure), "total")


def list_entries(figure: Figure) -> Iterator[tuple[str, str]]:
    """Yield each kind of arrow with what it does in this network."""
    steps = list(list_steps(figure))
    yield "conv", name_all(steps, "conv")
    if any(figure.residual):
        yield "conv", "shortcut: a block's input is added to its output, then activated"
    yield "down", name_all(steps, "down")
    yield "up", name_all(steps, "up")
    yield "smooth" if figure.laterals else "skip", name_skip(figure)
    if any(ascent.gated for ascent in figure.ascents):
        yield "attend", "attention gate: the coarser level chooses which voxels of a skip pass"
    if attention := name_all(steps, "attend"):
        yield "attend", f"{attention}: the tensor is reweighted"
    if figure.laterals:
        yield "lateral", f"pyramid: {name_small_conv(figure)}, plus the coarser level, interpolated"
    if figure.sum:
        yield "fuse", f"each level: {name_small_conv(figure)}, interpolated to the finest, and added"
    yield "head", name_heads(figure)


def list_steps(figure: Figure) -> Iterator[Step]:
    """Yield every step down and up."""
    for descent in figure.descents:
        yield from filter(None, [descent.pool])
        yield from descent.steps
    for ascent in figure.ascents:
        yield ascent.up
        yield from ascent.steps


def name_all(steps: list[Step], kind: str) -> str:
    """Name the different operations of one kind, the commonest first; not those that only lack an activation."""
    named = [step.operation for step in steps if step.kind == kind]
    found = sorted(dict.fromkeys(named), key=named.count, reverse=True)
    found = [words for words in found if not any(other.startswith(f"{words}, ") for other in found)]
    return " | ".join(found[:MOST]) + (" | …" if len(found) > MOST else "")


def name_skip(figure: Figure) -> str:
    """Say how a skip joins the decoder."""
    config = figure.config
    words = ["add the skip" if config.skip == "add" else "concatenate the skip"]
    if config.adjust_skip:
        words.insert(0, name_small_conv(figure))
    if config.block.padding == "valid":
        words.insert(0, "crop (dashed)")
    if figure.laterals:
        words.insert(0, name_all(list(figure.smooths), "smooth"))
    return ", ".join(words)


def name_small_conv(figure: Figure) -> str:
    """Name a convolution that only mixes channels."""
    return f"conv {TIMES.join('1' * figure.config.ndim)}"


def name_heads(figure: Figure) -> str:
    """Say what ends in logits, and of what classes."""
    (operation, *_) = (step.operation for step in figure.heads)
    classes = figure.config.classes
    words = f"{operation}: logits of {classes} {'class' if classes == 1 else 'classes'}"
    return words + (", of lower levels while training" if len(figure.heads) > 1 else "")


def summarise(figure: Figure) -> str:
    """Say what the network is and costs, in one line."""
    cost, config = figure.cost, figure.config
    sees = "all of the image" if math.inf in cost.receptive_field else show_space(tuple(map(int, cost.receptive_field)))
    output = output_space(config, figure.space)
    parts = [
        f"{config.ndim}D, {len(config.widths)} levels",
        f"{cost.parameters:,} parameters",
        f"{cost.macs / 1e9:,.3g} G multiplications"
        if cost.macs < 1e12
        else f"{cost.macs / 1e12:,.3g} T multiplications",
        f"one output can see {sees}",
    ]
    entered = figure.descents[0].steps[0].space
    if math.prod(entered) > math.prod(figure.space):
        parts.append(f"the image is padded to {show_space(entered)}")
    if output != figure.space:
        parts.append(f"unpadded: {show_space(figure.space)} in, {show_space(output)} out")
    return " · ".join(parts)


def show_many(count: int) -> str:
    """Write a large number with its unit.

    >>> show_many(1_234_000_000), show_many(1_230_000)
    ('1.23 G', '1.23 M')
    """
    unit, size = next((each for each in UNITS if count >= each[1]), UNITS[-1])
    return f"{count / size:.3g} {unit}"


def show_space(space: tuple[int, ...]) -> str:
    """Write a size: 64³ where all axes agree.

    >>> show_space((64, 64, 64)), show_space((16, 64)) == f"16{TIMES}64"
    ('64³', True)
    """
    if len(set(space)) == 1:
        return f"{space[0]}{'²' if len(space) == 2 else '³'}"
    return TIMES.join(map(str, space))
