"""Where the parts of a figure stand: how sizes become pixels, and how far apart levels and bars are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ushape.explain.figure import Figure, Step
from ushape.explain.svg import Bar

TALLEST, FLATTEST, COMPRESSION = 132.0, 9.0, 0.55
LEFT, TOP = 96.0, 72.0
GAP, WIDE_GAP = 19.0, 58.0  # between bars: room for an arrow, and for one with a word on it
ROW_GAP = 58.0
SHORTEST_SKIP, GATE = 62.0, 34.0
ABOVE = 17.0  # an arrow ends so far above a bar: its channels stand between


@dataclass(frozen=True)
class Scale:
    """How sizes become pixels."""

    figure: Figure

    def height(self, space: tuple[int, ...]) -> float:
        """Return the height of a tensor, from its share of the finest one's voxels along an axis."""
        finest = self.figure.space, self.figure.descents[0].steps[0].space
        share = math.prod(space) / max(map(math.prod, finest))
        return max(TALLEST * share ** (COMPRESSION / len(space)), FLATTEST)

    def place(self, step: Step, x: float, mid: float, *, channels: int = 0) -> Bar:
        """Stand a tensor with its left edge at x."""
        height = self.height(step.space)
        depth = 3 + 0.08 * height if len(step.space) == 3 else 0.0
        return Bar(x, mid, self.width(channels or step.channels), height, depth)

    @staticmethod
    def width(channels: int) -> float:
        """Return the width of a tensor."""
        return 8 + 0.95 * math.sqrt(channels)


def list_mids(figure: Figure, scale: Scale) -> list[float]:
    """Return the height in the picture of each level."""
    mids, y = [], TOP
    finest = max(figure.space, figure.descents[0].steps[0].space)
    spaces = [finest, *(descent.steps[0].space for descent in figure.descents[1:])]
    for space in spaces:
        height = scale.height(space)
        mids.append(y + height / 2)
        y += height + ROW_GAP
    return mids


def count_bars(figure: Figure) -> int:
    """Count the bars from which the decoder is further to the right: those at the coarsest level."""
    coarsest = figure.descents[-1]
    own = 2 if coarsest.blocks > 1 else len(coarsest.steps) + (coarsest.pool is not None)
    return own + len(figure.bottleneck) + len(figure.laterals[-1:])


def find_slack(figure: Figure, scale: Scale) -> float:
    """Return how much wider than usual the gaps of the coarsest level are, so that the skip above is long enough."""
    coarsest, ascent, above = figure.descents[-1], figure.ascents[-1], figure.descents[-2].steps[-1]
    steps = [*filter(None, [coarsest.pool]), *coarsest.steps][: count_bars(figure)]
    bars = [scale.place(step, 0.0, 0.0) for step in steps]
    width = sum(bar.right for bar in bars) - (bars[0].width + bars[-1].width) / 2 - bars[-1].depth
    gaps, gap = len(bars) - 1, WIDE_GAP if coarsest.blocks > 1 else GAP
    source = scale.place(above, 0.0, 0.0)
    joined = scale.width(ascent.up.channels) / 2 + scale.width(ascent.skip) + source.depth
    needed = joined + source.width / 2 + source.depth + SHORTEST_SKIP + GATE * ascent.gated
    return max(16.0, (needed - width - gap * gaps) / max(gaps, 1))
