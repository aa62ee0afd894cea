"""Labels that may be wrong as a page and pictures."""

from __future__ import annotations

from pathlib import Path

from ushape.core.files import write_text
from ushape.io.outputs import write_picture
from ushape.report.gallery import show_gallery
from ushape.report.page import Section, render_page
from ushape.workflows.pictures import draw_rows
from ushape.workflows.suspects import LabelCheck, open_held_out, tell_check

HOW = (
    "Each case was predicted by a network that was not trained on it. Where label and prediction disagree far more "
    "than usual, either the label is wrong or the network has seen too little of this kind: look which."
)


def write_suspects(folder: Path, name: str, check: LabelCheck) -> Path:
    """Write suspects.html, and for each suspect a PNG: the image, its label and its prediction side by side.

    Args:
        name: of the run.
    Raises:
        DataError: the data set or a prediction is not where it was.
        OutputError: the folder cannot be written.
    """
    told = tell_check(check)
    overlays = []
    for suspect in check.suspects:
        held_out = open_held_out(suspect.run)
        overlay = held_out.draw(suspect.case, suspect.differs, suspect.dice)
        for stem, pixels in draw_rows(overlay, held_out.recipe.data.labels):
            write_picture(folder / f"{stem}.png", pixels)
        overlays.append(overlay)
    names = held_out.recipe.data.labels.names
    gallery = Section("suspects", "Image, label and prediction", show_gallery(overlays, names))
    page = folder / "suspects.html"
    write_text(
        page, render_page(f"Labels of {name} to check", [HOW, f"{told[0].upper()}{told[1:]}."], [gallery], kind="page")
    )
    return page
