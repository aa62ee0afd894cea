"""Bars, arrows and words as SVG, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

TIMES = "\N{MULTIPLICATION SIGN}"
LETTER = 5.9  # average width of a letter of the 11 px font
STYLE = """
svg{font:11px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;--page:#fff;--ink:#1d2733;--soft:#66727f;
--down:#c8442e;--up:#2d8a4e;--conv:#5b6b7d;--enc:#5b8fd6;--dec:#57ab7c;--copy:#dbe7f7;--head:#b7791f;--token:#8a5bc4;
--fuse:#c2578a;--skip:#8ea6c6}
@media(prefers-color-scheme:dark){svg{--page:#12171d;--ink:#e4eaf0;--soft:#97a3b0;--down:#f07a63;--up:#63c987;
--conv:#a3b1c0;--enc:#3f72b8;--dec:#3b8a5e;--copy:#2b3b50;--head:#d9a440;--token:#a884dd;--fuse:#dd7fab;--skip:#6d88ad}}
text{fill:var(--ink)}.m{text-anchor:middle}.e{text-anchor:end}.soft{fill:var(--soft)}.big{font-size:17px;font-weight:600}
.total{font-size:12.5px}
.bar{stroke:var(--ink);stroke-width:.8;stroke-linejoin:round}.shade{fill:#000;fill-opacity:.22}
.lid{fill:#fff;fill-opacity:.3}.over{stroke:var(--ink);stroke-width:.8;stroke-linejoin:round}
.enc{fill:var(--enc)}.dec{fill:var(--dec)}.copy{fill:var(--copy)}.pale{fill:var(--page)}.hd{fill:var(--head)}
.tk{fill:var(--token)}.fs{fill:var(--fuse)}.cut{stroke:var(--ink);stroke-dasharray:3 2;fill:none}
.a{fill:none;stroke-width:1.6}.thin{stroke-width:1.1}.dash{stroke-dasharray:5 3}
.conv{stroke:var(--conv)}.attend,.token{stroke:var(--token)}.down{stroke:var(--down)}.up{stroke:var(--up)}
.skip{stroke:var(--skip)}.a.skip{stroke-width:3}.head{stroke:var(--head)}.lateral,.smooth,.fuse{stroke:var(--fuse)}
.ring{fill:var(--page);stroke-width:1.5}
""".replace("\n", "")
COLOURS = ("conv", "token", "down", "up", "skip", "head", "fuse")
MARKS = {"attend": "token", "lateral": "fuse", "smooth": "fuse"}


@dataclass(frozen=True)
class Bar:
    """Where a tensor stands: its front is a rectangle around `mid`, and behind it lies `depth`."""

    x: float
    mid: float
    width: float
    height: float
    depth: float

    @property
    def centre(self) -> float:
        """The middle of the front, across."""
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        """The right end, depth included."""
        return self.x + self.width + self.depth

    @property
    def top(self) -> float:
        """The upper edge, depth included."""
        return self.mid - self.height / 2 - self.depth * 0.6

    @property
    def bottom(self) -> float:
        """The lower edge of the front."""
        return self.mid + self.height / 2


class Canvas:
    """Collects elements, and how far they reach."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.right = self.bottom = 0.0

    def reach(self, x: float, y: float) -> None:
        """Make sure that a point is within the picture."""
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)

    def text(self, x: float, y: float, words: str, style: str = "") -> None:
        """Write words; `m` in the style centres them, `e` ends them at x."""
        attribute = f' class="{style}"' if style else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{attribute}>{escape(words)}</text>')
        share = 0.0 if "e" in style.split() else 0.5 if "m" in style.split() else 1.0
        self.reach(x + share * measure_text(words), y)

    def bar(self, bar: Bar, colour: str) -> None:
        """Draw a tensor."""
        x, y, w, h, d = bar.x, bar.mid - bar.height / 2, bar.width, bar.height, bar.depth
        self.parts.append(f'<rect class="bar {colour}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>')
        if d:
            lid = f"M{x:.1f} {y:.1f}l{d:.1f} {-d * 0.6:.1f}h{w:.1f}l{-d:.1f} {d * 0.6:.1f}z"
            side = f"M{x + w:.1f} {y:.1f}l{d:.1f} {-d * 0.6:.1f}v{h:.1f}l{-d:.1f} {d * 0.6:.1f}z"
            for path, shade in ((lid, "lid"), (side, "shade")):
                self.parts.append(f'<path class="{colour}" d="{path}"/><path class="over {shade}" d="{path}"/>')
        self.reach(bar.right, bar.bottom)

    def crop(self, bar: Bar, height: float) -> None:
        """Mark the part of a tensor that a crop leaves."""
        y = bar.mid - height / 2
        self.parts.append(
            f'<rect class="cut" x="{bar.x:.1f}" y="{y:.1f}" width="{bar.width:.1f}" height="{height:.1f}"/>'
        )

    def arrow(self, points: Sequence[tuple[float, float]], kind: str, style: str = "") -> None:
        """Draw an arrow along points."""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        classes = " ".join(filter(None, ["a", kind, style]))
        self.parts.append(f'<path class="{classes}" d="M{path}" marker-end="url(#{MARKS.get(kind, kind)})"/>')
        for x, y in points:
            self.reach(x, y)

    def ring(self, x: float, y: float, sign: str, kind: str) -> None:
        """Draw an operation of two tensors: a sign in a circle."""
        self.parts.append(f'<circle class="ring {kind}" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>')
        self.text(x, y + 3.9, sign, "m")

    def box(self, x: float, mid: float, width: float, height: float, lines: Sequence[str]) -> None:
        """Draw a box with words in it."""
        y = mid - height / 2
        self.parts.append(
            f'<rect class="ring token" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
        )
        for number, line in enumerate(lines):
            self.text(x + width / 2, mid + 4 + 14 * (number - (len(lines) - 1) / 2), line, "m")
        self.reach(x + width, y + height)

    def finish(self, title: str, description: str) -> str:
        """Return the picture as a file's text."""
        width, height = round(self.right + 24), round(self.bottom + 22)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">'
        )
        words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        page = f'<rect class="pale" width="{width}" height="{height}" rx="8"/>'
        return "\n".join([head, words, f"<style>{STYLE}</style>{draw_markers()}", page, *self.parts, "</svg>", ""])


def draw_markers() -> str:
    """Define the heads of the arrows, one per colour."""
    return "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="var(--{name})"/></marker>'
        for name in COLOURS
    )


def measure_text(words: str) -> float:
    """Estimate how wide words are, in pixels."""
    return len(words) * LETTER
