"""Sentences and tables of the page that looks into a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ushape.report.markup import Html, table, tag

WALK = (
    "Each row is one step of the network, on the window around the voxel. Sees: how many voxels of the image one of "
    "its voxels can see. Per number: numbers for each number of the image. Kept: how much of the variance of the "
    "image, and of the answer (the probability of foreground), can be read linearly from the channels of this row at "
    "the same place; on the way down the image fades, at each join it comes back, towards the end the answer appears. "
    "Silent: channels of one value everywhere. Stands out: the channel that is most unusual at the voxel, in standard "
    "deviations."
)
GATES = (
    "A gate lets each voxel of a skip pass by a share from 0 (violet) to 1 (yellow). Inside and outside are its means "
    "in and beyond the {compared}; correlations are with it and with its border, on the gate's own grid; an entropy "
    "of 1 is a uniform map."
)
CAMS = (
    "Seg-Grad-CAM: where each level holds features that raise {name} in the region, from none (violet) to the most of "
    "this level (yellow). The bottleneck shows context, the last decoder level details."
)
FLOW = (
    "What one step on this window would teach each layer, the loss being {loss}. Step is by how much of its own size "
    "the layer's weights would change; 0.001 is usual, above 1 training breaks."
)


def show_numbers(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> Html:
    """Set a table of which the first column names the row."""
    lines = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return table(head, lines, caption=caption)


def show_size(sizes: Iterable[float | int]) -> str:
    """Write sizes as 3x3; "all" where a voxel sees the whole image.

    >>> show_size([3.0, math.inf])
    '3xall'
    """
    return "x".join("all" if math.isinf(size) else f"{size:g}" for size in sizes)


def show_share(value: float) -> str:
    """Write a share in percent; a dash where it is not known.

    >>> show_share(0.256), show_share(math.nan)
    ('26 %', '-')
    """
    return "-" if math.isnan(value) else f"{100 * value:.0f} %"
