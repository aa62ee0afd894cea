"""The U of a network, drawn from its config: tensors as bars, operations as arrows.

The height of a bar follows the resolution and its width the channels, both compressed so that all levels can be seen.
Source: the form of Ronneberger et al. 2015, arXiv:1505.04597, fig. 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from ushape.explain.figure import Ascent, Descent, Figure, Step, read_figure
from ushape.explain.layout import (
    ABOVE,
    GAP,
    GATE,
    LEFT,
    SHORTEST_SKIP,
    WIDE_GAP,
    Scale,
    count_bars,
    find_slack,
    list_mids,
)
from ushape.explain.legend import draw_legend, show_space, summarise
from ushape.explain.svg import TIMES, Bar, Canvas, measure_text
from ushape.nets.config import UNetConfig
from ushape.nets.cost import measure_cost
from ushape.nets.sizes import output_space


def draw_network(config: UNetConfig, space: Sequence[int], *, title: str = "") -> str:
    """Draw a network for one size of images.

    Returns:
        A file's text in SVG; it brings its colours for light and dark pages, and needs nothing else.
    Raises:
        ShapeError: the network does not take this size.

    >>> draw_network(UNetConfig(widths=(4, 8)), (32, 32))[:4]
    '<svg'
    """
    figure = read_figure(config, measure_cost(config, space), tuple(space))
    canvas = Canvas()
    if title:
        canvas.text(24.0, 34.0, title, "big")
    Drawing(figure, canvas, Scale(figure)).draw()
    draw_legend(canvas, figure)
    return canvas.finish(title or "U-Net", summarise(figure))


class Drawing:
    """Walks down the encoder, through the bottleneck and up the decoder, and draws.

    Attributes:
        last: the last bar of each encoder level, finest first.
        ends: the last bar of each decoder level, finest first.
    """

    def __init__(self, figure: Figure, canvas: Canvas, scale: Scale) -> None:
        self.figure, self.canvas, self.scale = figure, canvas, scale
        self.mids, self.slack = list_mids(figure, scale), find_slack(figure, scale)
        self.last: list[Bar] = []
        self.ends: list[Bar] = []
        self.column = 0.0

    def draw(self) -> None:
        """Draw all of the network."""
        self._draw_image()
        for level, descent in enumerate(self.figure.descents):
            self._descend(level, descent)
        bar = self._draw_bottleneck()
        self._draw_pyramid()
        for level, ascent in reversed(list(enumerate(self.figure.ascents))):
            bar = self._ascend(level, ascent, bar)
            self.ends.insert(0, bar)
        self._draw_heads(self._draw_sum())

    def _draw_image(self) -> None:
        config = self.figure.config
        image = self.scale.place(Step("conv", "", config.in_channels, self.figure.space), LEFT - 68, self.mids[0])
        self._show(image, "pale", config.in_channels)
        self.canvas.text(image.x, image.bottom + 14, "image", "soft")
        self.canvas.text(image.x, image.bottom + 28, show_space(self.figure.space))
        first = self.scale.place(self.figure.descents[0].steps[0], LEFT, self.mids[0])
        self._go_right(image, first, "conv")

    def _descend(self, level: int, descent: Descent) -> None:
        steps = [*filter(None, [descent.pool]), *descent.steps]
        above = self.last[-1] if self.last else None
        x = above.centre - self.scale.width(steps[0].channels) / 2 if above else LEFT
        bars = self._draw_chain(steps, x, level, "enc", blocks=descent.blocks)
        if above:
            self._go_down(above, bars[0])
        if self.figure.residual[0]:
            first = bars[0] if len(bars) > 1 else above or bars[0]
            self._draw_shortcut(first, bars[-1])
        self._say_size(steps, bars, below=22.0 if self.figure.residual[0] else 14.0, level=level)
        self.last.append(bars[-1])

    def _draw_chain(self, steps: list[Step], x: float, level: int, colour: str, *, blocks: int = 1) -> list[Bar]:
        """Draw tensors side by side; of many blocks only the ends, with their number between."""
        if blocks > 1:
            steps = [steps[0], steps[-1]]
        bars: list[Bar] = []
        gap = (WIDE_GAP if blocks > 1 else GAP) + (self.slack if level == len(self.figure.ascents) else 0)
        for step in steps:
            bar = self.scale.place(step, bars[-1].right + gap if bars else x, self.mids[level])
            self._show(bar, "copy" if "pool" in step.operation else colour, step.channels)
            if bars:
                self._go_right(bars[-1], bar, *((step.kind, "") if blocks == 1 else ("conv", f"{blocks} blocks")))
            bars.append(bar)
        return bars

    def _say_size(self, steps: list[Step], bars: list[Bar], *, below: float, level: int) -> None:
        first, last = steps[0].space, steps[-1].space
        words = show_space(last) if first == last else f"{show_space(first)} → {show_space(last)}"
        if level == len(self.figure.ascents):
            self.canvas.text((bars[0].x + bars[-1].right) / 2, bars[-1].bottom + below, words, "m")
        else:
            self.canvas.text(bars[-1].centre - 6, bars[-1].bottom + below, words, "e")

    def _draw_bottleneck(self) -> Bar:
        """Draw what stands between encoder and decoder, and return where the decoder begins."""
        bar, level = self.last[-1], len(self.figure.ascents)
        for step in self.figure.bottleneck:
            lines = step.operation.split(", ")
            width = max(map(measure_text, lines)) + 18
            x = bar.right + GAP
            self.canvas.box(x, bar.mid, width, 14.0 * len(lines) + 12, lines)
            self.canvas.arrow([(bar.right + 1, bar.mid), (x - 2, bar.mid)], "token")
            after = self.scale.place(step, x + width + GAP, bar.mid)
            self._show(after, "tk", step.channels)
            self.canvas.arrow([(x + width + 2, bar.mid), (after.x - 2, bar.mid)], "token")
            bar = after
        if self.figure.laterals:
            bar = self._draw_lateral(level, bar, bar.right + 32)
        if count_bars(self.figure) == 1:
            return Bar(bar.right + self.slack, bar.mid, 0.0, 0.0, 0.0)
        return bar

    def _draw_lateral(self, level: int, source: Bar, x: float) -> Bar:
        """Draw one level of a pyramid: the sum, and at the coarsest its smoothing too."""
        sum_bar = self.scale.place(self.figure.laterals[level], x, self.mids[level])
        self._show(sum_bar, "fs", self.figure.laterals[level].channels)
        self.canvas.arrow([(source.right + 1, source.mid), (x - 2, source.mid)], "lateral")
        self.column = sum_bar.centre
        if level < len(self.figure.ascents):
            return sum_bar
        smooth = self.scale.place(self.figure.smooths[level], sum_bar.right + SHORTEST_SKIP + 20, self.mids[level])
        self._show(smooth, "fs", self.figure.smooths[level].channels)
        self.canvas.arrow([(sum_bar.right + 1, smooth.mid), (smooth.x - 2, smooth.mid)], "smooth")
        return smooth

    def _draw_pyramid(self) -> None:
        if not self.figure.laterals:
            return
        middle = self.column
        for level in reversed(range(len(self.figure.ascents))):
            width = self.scale.width(self.figure.laterals[level].channels)
            coarse_top = self.mids[level + 1] - self.scale.height(self.figure.laterals[level + 1].space) / 2
            bar = self._draw_lateral(level, self.last[level], middle - width / 2)
            self.canvas.arrow([(middle, coarse_top - ABOVE), (middle, bar.bottom + 3)], "lateral")
            self.last[level] = bar

    def _ascend(self, level: int, ascent: Ascent, below: Bar) -> Bar:
        mid = self.mids[level]
        x = below.centre - self.scale.width(ascent.up.channels) / 2
        grown = self.scale.place(Step("up", "", ascent.up.channels, ascent.join.space), x, mid)
        self._show(grown, "dec", ascent.up.channels, aside=2.0 if ascent.skip else 0.0)
        start = (below.centre, below.top - ABOVE)
        corner = [] if below.width else [(self.last[-1].right + 1, below.mid), (below.centre, below.mid)]
        self.canvas.arrow([*corner, start, (below.centre, grown.bottom + 3)], "up")
        if ascent.skip:
            self._draw_skip(level, ascent, grown, below)
        bars = [grown, *self._draw_chain(list(ascent.steps), grown.right + GAP, level, "dec")]
        self._go_right(grown, bars[1], ascent.steps[0].kind)
        residual = self.figure.residual[1]
        if residual:
            self._draw_shortcut(grown, bars[-1])
        sizes = [ascent.join.space, ascent.steps[-1].space]
        words = " → ".join(show_space(size) for size in dict.fromkeys(sizes))
        self.canvas.text(grown.centre + 7, grown.bottom + (22 if residual else 14), words)
        return bars[-1]

    def _draw_skip(self, level: int, ascent: Ascent, grown: Bar, below: Bar) -> None:
        """Draw a skip up to where it joins: a bar beside the grown one, or a sum."""
        source, kind = self.last[level], "smooth" if self.figure.laterals else "skip"
        end = grown.x
        if ascent.join.operation.startswith("add"):
            end -= 24
            self.canvas.ring(end, grown.mid, "+", "skip")
            self.canvas.arrow([(end + 8, grown.mid), (grown.x - 2, grown.mid)], "skip")
            end -= 7
        else:
            copy = Bar(
                end - self.scale.width(ascent.skip) - grown.depth,
                grown.mid,
                self.scale.width(ascent.skip),
                grown.height,
                grown.depth,
            )
            self._show(copy, "copy", ascent.skip, aside=-2.0)
            end = copy.x
        if grown.height < source.height - 0.5:
            self.canvas.crop(source, grown.height)
        start = source.right + 1
        if ascent.gated:
            self._draw_gate(end - GATE + 8, grown, below)
            self.canvas.arrow([(start, grown.mid), (end - GATE - 1, grown.mid)], kind)
            start = end - GATE + 16
        self.canvas.arrow([(start, grown.mid), (end - 2, grown.mid)], kind)

    def _draw_gate(self, x: float, grown: Bar, below: Bar) -> None:
        """Draw the product of a skip and its map, which the coarser level makes."""
        self.canvas.ring(x, grown.mid, TIMES, "attend")
        y = below.top - ABOVE
        self.canvas.arrow([(below.centre, y), (x, y), (x, grown.mid + 10)], "attend", "thin dash")

    def _draw_sum(self) -> Bar:
        """Draw the sum of all decoder levels, and return what the first head sees."""
        finest = self.ends[0]
        if not self.figure.sum:
            return finest
        x = max(bar.right for bar in self.ends) + 44
        self.canvas.ring(x, finest.mid, "+", "fuse")
        self.canvas.arrow([(finest.right + 1, finest.mid), (x - 10, finest.mid)], "fuse")
        for bar in self.ends[1:]:
            y = bar.mid + 0.25 * bar.height
            self.canvas.arrow([(bar.right + 1, y), (x, y), (x, finest.mid + 10)], "fuse", "thin")
        total = self.scale.place(self.figure.sum, x + 26, finest.mid)
        self._show(total, "fs", self.figure.sum.channels)
        self.canvas.arrow([(x + 9, finest.mid), (total.x - 2, finest.mid)], "fuse")
        return total

    def _draw_heads(self, finest: Bar) -> None:
        for level, (step, seen) in enumerate(zip(self.figure.heads, [finest, *self.ends[1:]], strict=False)):
            bar = self.scale.place(step, seen.right + GAP + 3, seen.mid)
            self._show(bar, "hd", step.channels)
            self._go_right(seen, bar, "head")
            self.canvas.text(bar.x, bar.bottom + 14, "logits", "soft")
            if level == 0:
                self.canvas.text(
                    bar.x, bar.bottom + 28, show_space(output_space(self.figure.config, self.figure.space))
                )

    def _show(self, bar: Bar, colour: str, channels: int, *, aside: float = 0.0) -> None:
        if not channels:
            self.canvas.crop(bar, bar.height)
            return
        self.canvas.bar(bar, colour)
        self.canvas.text(bar.centre + bar.depth / 2 + aside, bar.top - 5, str(channels), "m")

    def _go_right(self, start: Bar, end: Bar, kind: str, words: str = "") -> None:
        self.canvas.arrow([(start.right + 1, end.mid), (end.x - 2, end.mid)], kind)
        if words:
            self.canvas.text((start.right + end.x) / 2 - 2, end.mid - 5, words, "m")

    def _go_down(self, above: Bar, below: Bar) -> None:
        self.canvas.arrow([(above.centre, above.bottom + 3), (above.centre, below.top - ABOVE)], "down")

    def _draw_shortcut(self, start: Bar, end: Bar) -> None:
        y = end.bottom + 9
        points = [
            (start.centre + 4, start.bottom + 1),
            (start.centre + 4, y),
            (end.x + 3, y),
            (end.x + 3, end.bottom + 1),
        ]
        self.canvas.arrow(points, "conv", "thin")
