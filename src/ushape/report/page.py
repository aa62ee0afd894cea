"""One HTML page of sections that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from ushape.report.markup import EMPTY, Html, definition_list, paragraphs, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        body: its content, or None if there is nothing to show.
        absent: what the page says instead; "" to say nothing.
    """

    name: str
    title: str
    body: Html | None
    absent: str = ""


def render_page(title: str, summary: Iterable[str], sections: Sequence[Section], *, kind: str) -> str:
    """Return a page as text: its title, a few sentences, and those sections that have something to show.

    Args:
        kind: what the page calls itself where it says what is left out: "report".
    """
    shown = [section for section in sections if section.body is not None]
    links = tag("nav", *(tag("a", section.title, href=f"#{section.name}") for section in shown), aria_label="Contents")
    header = tag("header", tag("h1", title), tag("div", paragraphs(summary), class_="summary"), links)
    main = tag("main", *(_show_section(section) for section in shown), _show_absent(sections, kind))
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', header, main), lang='en').text}\n"


def _head(title: str) -> Html:
    style = (files("ushape.report") / "style.css").read_text(encoding="utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Html(style)),
    )


def _show_section(section: Section) -> Html:
    return tag("section", tag("h2", section.title), section.body or EMPTY, id=section.name)


def _show_absent(sections: Sequence[Section], kind: str) -> Html:
    absent = [(section.title, section.absent) for section in sections if section.body is None and section.absent]
    if not absent:
        return EMPTY
    return tag("section", tag("h2", f"Not in this {kind}"), definition_list(absent), id="absent")
