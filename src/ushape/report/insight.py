"""Sentences and tables of the page that looks into a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ushape.report.markup import Html, table, tag

STAGES = (
    "Each row of the table is one step of the network, on the window around the followed place. encoder.levels.0 is "
    "the finest level of the way down, encoder.downs.0 the step to the next coarser one; decoder.0.up comes back up "
    "from there, decoder.0.join puts what the encoder saw at this level beside it, decoder.0.block works on both; "
    "heads give the logits."
)
WALK = (
    "Sees (the receptive field): how wide a part of the image one of its voxels depends on. Kept: how much of the "
    "variance of the image, and of the answer (the probability of foreground), can be read linearly from the channels "
    "of this row at the same place. On the way down the image fades, at each join it comes back, towards the end the "
    "answer appears. Zeros: share of its numbers that are 0. Silent: channels of one value everywhere. Odd one: the "
    "channel that is most unusual at the followed place, and by how many standard deviations. A dash: "
    "the image, or the answer, does not vary in this window."
)
MOSAICS = "The channels of each row that vary most, each from black to white:"
GATES = (
    "A gate lets each voxel of a skip pass by a share. The colours are spread over what occurs in each map, so that "
    "little contrast can be seen, too; white is the outline of the {compared}. Inside and outside are the map's means "
    "in and beyond the {compared}; correlations are with it and with its border, on the gate's own grid; the spread "
    "lies between the map's 1st and 99th percentile, near 0 where all voxels pass alike."
)
CAMS = (
    "Seg-Grad-CAM: where each level holds features that raise {name} in the region with the white outline, from none "
    "(violet) to the most of this level (yellow). The bottleneck shows context, the last decoder level details. Why "
    "{name}: {reason}."
)
UNSEEN = " Only one window of the image was looked at: what is hatched in gray lies outside."
FLOW = (
    "What one step on this window would teach each layer, the loss being {loss}. Step is by how much of its own size "
    "the layer's weights would change at the highest rate; a fault is above 1 (exploding) and below 0.0000001 "
    "(vanishing), what lies between is none."
)
POWERS = {2: "²", 3: "³"}


def show_numbers(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> Html:
    """Set a table of which the first column names the row."""
    lines = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return table(head, lines, caption=caption)


def show_size(sizes: Iterable[float | int]) -> str:
    """Write sizes as 3x5, equal ones as 3²; "all" where a voxel sees the whole image.

    >>> show_size([3.0, math.inf]), show_size([52, 52, 52])
    ('3xall', '52³')
    """
    sizes = tuple(sizes)
    if len(set(sizes)) == 1 and len(sizes) in POWERS and not math.isinf(sizes[0]):
        return f"{sizes[0]:g}{POWERS[len(sizes)]}"
    return "x".join("all" if math.isinf(size) else f"{size:g}" for size in sizes)


def show_share(value: float) -> str:
    """Write a share in percent; a dash where it is not known.

    >>> show_share(0.256), show_share(math.nan)
    ('26 %', '-')
    """
    return "-" if math.isnan(value) else f"{100 * value:.0f} %"
