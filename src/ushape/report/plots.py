"""Curves and distributions as small SVG drawings that follow the page's light or dark colours."""

from __future__ import annotations

import html
import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.report.contents import Row, read_number
from ushape.report.markup import Html
from ushape.report.words import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What matplotlib draws with, and the page's variable that takes its place (style.css has both themes).
INK, SOFT, GRID, BLUE, ORANGE = "#16202a", "#5a6773", "#dde3e8", "#0068a8", "#b85c00"
VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--grid", BLUE: "--blue", ORANGE: "--orange"}
MOST_POINTS = 400
"""A longer curve is drawn by the means of so many stretches."""
CURVE_INCHES = (4.0, 2.5)
LONGEST_NAME = 22

Curve = tuple[Float[ndarray, "n"], Float[ndarray, "n"]]
Limits = Callable[[Float[ndarray, "n"]], tuple[float, float]]


def read_curve(rows: Sequence[Row], column: str) -> Curve:
    """Return (steps, values) of the rows in which the column is filled; long curves as means of stretches.

    >>> read_curve([{"step": 1, "val_dice": ""}, {"step": 2, "val_dice": 0.5}], "val_dice")
    (array([2.]), array([0.5]))
    """
    points = np.array([(read_number(row, "step"), read_number(row, column)) for row in rows], dtype=float).reshape(
        -1, 2
    )
    points = points[np.isfinite(points).all(axis=1)]
    stretches = np.array_split(points, MOST_POINTS) if len(points) > MOST_POINTS else points[:, None]
    means = np.array([stretch.mean(axis=0) for stretch in stretches]).reshape(-1, 2)
    return means[:, 0], means[:, 1]


def best_point(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Return (step, Dice) of the best validation, None if there was none."""
    points = [(read_number(row, "step"), read_number(row, "val_dice")) for row in rows]
    points = [point for point in points if not math.isnan(point[1])]
    return max(points, key=lambda point: point[1]) if points else None


def plot_loss(rows: Sequence[Row]) -> Html:
    """Draw the training loss over the steps."""
    curve = read_curve(rows, "train_loss")
    return draw("loss", "Training loss over steps", lambda axes: _draw_line(axes, curve, "Training loss", BLUE))


def plot_validation(rows: Sequence[Row]) -> Html:
    """Draw the validation Dice over the steps, its best point marked."""
    curve, best = read_curve(rows, "val_dice"), best_point(rows)

    def paint(axes: Axes) -> None:
        _draw_line(axes, curve, "Validation Dice", BLUE)
        if best is not None:
            _mark_best(axes, *best)

    return draw("validation", "Validation Dice over steps", paint)


def plot_rate(rows: Sequence[Row]) -> Html:
    """Draw the learning rate over the steps."""
    curve = read_curve(rows, "lr")
    return draw("rate", "Learning rate over steps", lambda axes: _draw_line(axes, curve, "Learning rate", BLUE))


def plot_spread(groups: Mapping[str, Sequence[float]], heading: str, limits: Limits, identity: str = "spread") -> Html:
    """Draw every case's value as a dot, one line per class, over a box of the middle half with the median.

    Args:
        groups: class to the values of its cases; what is not finite is left out.
        limits: makes the ends of the axis of all values.
    """
    known = {name: np.array([v for v in values if math.isfinite(v)]) for name, values in groups.items()}
    known = {name: values for name, values in known.items() if values.size}
    ends = limits(np.concatenate([*known.values(), np.empty(0)]))

    def paint(axes: Axes) -> None:
        for place, values in enumerate(known.values()):
            _draw_group(axes, place, values)
        _label_groups(axes, known, heading)
        axes.set_xlim(*ends)
        if ends[0] < 0:
            axes.axvline(0, color=SOFT, linewidth=1.2)

    size = (5.4, 0.7 + 0.62 * len(known))
    return draw(identity, f"{heading} of every case, one line per class", paint, size)


def share_limits(values: Float[ndarray, "n"]) -> tuple[float, float]:
    """Reach from the tenth below the lowest value to 1.

    >>> share_limits(np.array([0.47, 0.9]))
    (0.4, 1.005)
    """
    return max(math.floor(float(values.min(initial=1.0)) * 10 - 0.2) / 10, 0.0), 1.005


def size_limits(values: Float[ndarray, "n"]) -> tuple[float, float]:
    """Reach from 0 to a little more than the largest value."""
    return 0.0, 1.05 * float(values.max(initial=0.0)) or 1.0


def change_limits(values: Float[ndarray, "n"]) -> tuple[float, float]:
    """Reach as far to either side of 0."""
    end = 1.1 * float(np.abs(values).max(initial=0.0)) or 1.0
    return -end, end


def draw(
    identity: str, alternative: str, paint: Callable[[Axes], None], size_inches: tuple[float, float] = CURVE_INCHES
) -> Html:
    """Let `paint` draw on axes without any global figure, and return inline SVG.

    Args:
        identity: unique on the page; it sets the drawing's inner names apart.
        alternative: what a screen reader says.
        size_inches: (width, height); the page shrinks or grows it, and the text with it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": identity, "text.parse_math": False})
    with style, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page's font, not ours, draws the text
        figure = Figure(figsize=size_inches, layout="constrained")
        axes = figure.add_subplot()
        _tidy(axes)
        paint(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return Html(inline_svg(buffer.getvalue(), identity, alternative))


def inline_svg(svg: str, identity: str, alternative: str) -> str:
    """Make a drawing part of a page: no outside names, its own ids, the page's colours and font."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r' xmlns(:\w+)?="[^"]*"| version="[^"]*"', "", body)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{identity}-", body).replace("xlink:href", "href")
    body = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 system-ui, sans-serif", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    return body.replace("<svg", f'<svg class="plot" role="img" aria-label="{html.escape(alternative)}"', 1).strip()


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(color=GRID, labelcolor=SOFT, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_line(axes: Axes, curve: Curve, title: str, colour: str) -> None:
    steps, values = curve
    axes.plot(steps, values, color=colour, linewidth=1.6, marker="o" if len(steps) < 30 else "", markersize=3)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("step", color=SOFT)
    axes.locator_params(axis="x", integer=True, nbins=5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")


def _mark_best(axes: Axes, step: float, dice: float) -> None:
    axes.plot([step], [dice], marker="o", markersize=8, color=ORANGE, markerfacecolor="none", markeredgewidth=2)
    text = f"best {format_number(dice)} at step {step:,.0f}"
    axes.set_title(text, loc="right", fontsize=10, color=ORANGE)


def _draw_group(axes: Axes, place: int, values: Float[ndarray, "n"]) -> None:
    if values.size >= 4:
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.barh(place, high - low, left=low, height=0.62, color=BLUE, alpha=0.16, linewidth=0)
        axes.plot([middle, middle], [place - 0.31, place + 0.31], color=BLUE, linewidth=2.4)
    heights = place + _scatter(values)
    axes.plot(values, heights, "o", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0)


def _scatter(values: Float[ndarray, "n"]) -> Float[ndarray, "n"]:
    """Spread dots that lie on each other: the golden ratio places neighbours in rank far apart, always alike."""
    ranks = values.argsort().argsort()
    return 0.44 * ((ranks * 0.618034) % 1 - 0.5) if values.size > 3 else np.zeros(values.size)


def _label_groups(axes: Axes, groups: Mapping[str, ndarray], heading: str) -> None:
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_yticks(range(len(groups)), [_tick_text(name, values.size) for name, values in groups.items()])
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(heading, color=SOFT)


def _tick_text(name: str, count: int) -> str:
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
    return f"{short} ({count})"
