"""HTML that is escaped by construction: text becomes markup only through `tag`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Html:
    """Markup that is already safe; any plain string beside it is escaped."""

    text: str


Child = Html | str
EMPTY = Html("")
VOID = {"input", "meta", "br"}


def tag(name: str, /, *children: Child, **attributes: str) -> Html:
    """Build one element; `class_` becomes class, and other underscores become hyphens.

    >>> tag("p", "1 < 2", class_="note").text
    '<p class="note">1 &lt; 2</p>'
    """
    pairs = "".join(f' {_attribute(key)}="{html.escape(value)}"' for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{pairs}>")
    return Html(f"<{name}{pairs}>{join(children).text}</{name}>")


def join(children: Iterable[Child], separator: str = "") -> Html:
    """Set elements and texts side by side."""
    return Html(separator.join(child.text if isinstance(child, Html) else html.escape(child) for child in children))


def paragraphs(sentences: Iterable[str], *, class_: str = "") -> Html:
    """Set each sentence as a paragraph."""
    return join(tag("p", sentence, **({"class_": class_} if class_ else {})) for sentence in sentences)


def table(head: Sequence[Child], rows: Iterable[Html], *, caption: str) -> Html:
    """Set a table that scrolls sideways by itself where the screen is narrow.

    Args:
        rows: `tr` elements.
        caption: what a screen reader announces.
    """
    cells = (cell if isinstance(cell, Html) and cell.text.startswith("<th") else tag("th", cell) for cell in head)
    body = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows))
    return tag("div", body, class_="scroll", role="region", aria_label=caption, tabindex="0")


def definition_list(pairs: Iterable[tuple[Child, Child]]) -> Html:
    """Set terms beside what they mean."""
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in pairs))


def _attribute(key: str) -> str:
    return "class" if key == "class_" else key.replace("_", "-")
