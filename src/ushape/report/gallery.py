"""Cases as panels side by side: the image, the truth, the prediction, and where the two differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from ushape.report.contents import Overlay
from ushape.report.layers import (
    AGREEMENT_COLOURS,
    LINE,
    Agreement,
    class_colour,
    compare_labels,
    draw_agreement,
    draw_contours,
    encode_layer,
    encode_photo,
    fit_size,
    resample_nearest,
    window_grey,
)
from ushape.report.markup import EMPTY, Child, Html, join, tag
from ushape.report.planes import Plane, planes
from ushape.report.words import format_number

MUTED_FILTER = Html(
    '<svg width="0" height="0" aria-hidden="true" class="defs"><filter id="muted" color-interpolation-filters="sRGB">'
    '<feColorMatrix type="saturate" values="0"/><feComponentTransfer><feFuncR type="linear" slope=".72"/>'
    '<feFuncG type="linear" slope=".72"/><feFuncB type="linear" slope=".72"/></feComponentTransfer></filter></svg>'
)
POINT_HINT = "Point at a picture, or touch it, to see it without its outlines."
AGAINST = "Prediction against truth"
MEANINGS = {
    Agreement.HIT: "right: in both",
    Agreement.MISSED: "missed: only in the truth",
    Agreement.EXTRA: "extra: only in the prediction",
    Agreement.OTHER: "right place, another class",
    Agreement.IGNORED: "not counted",
}


@dataclass(frozen=True)
class Flat:
    """One plane of one case, cut and brought to the size of its pictures; `line` is the outlines' width."""

    plane: Plane
    line: int
    size: tuple[int, int]
    photo: str
    prediction: Integer[ndarray, "h w"]
    label: Integer[ndarray, "h w"] | None


def show_gallery(overlays: Sequence[Overlay], classes: Sequence[str]) -> Html:
    """Set every case as a figure, below a legend of the colours that occur."""
    figures = []
    met: set[Agreement] = set()
    for number, overlay in enumerate(overlays):
        flats = list(_flats(overlay))
        met |= {code for flat in flats for code in _codes(flat)}
        figures.append(_show_case(f"case{number}", overlay, flats, classes))
    hint = tag("p", POINT_HINT, class_="note hint")
    return join([MUTED_FILTER, show_legend(met, classes), hint, *figures])


def show_legend(met: set[Agreement], classes: Sequence[str]) -> Html:
    """Explain the colours: of the classes' outlines, and of agreement as far as it occurs."""
    outlines = [_swatch(class_colour(i), name, "line") for i, name in enumerate(classes) if i]
    fills = [_swatch(AGREEMENT_COLOURS[code], MEANINGS[code], "fill") for code in sorted(met) if code in MEANINGS]
    lists = {"Outlines:": outlines, f"{AGAINST}:": fills}
    rows = (tag("ul", tag("li", title, class_="title"), *items) for title, items in lists.items() if items)
    return tag("div", *rows, class_="legend")


def _flats(overlay: Overlay) -> Iterator[Flat]:
    prediction, label = overlay.prediction, overlay.label
    foreground = prediction > 0 if label is None else (prediction > 0) | (label > 0)
    for plane in planes(foreground, overlay.geometry):
        image = plane.cut(overlay.image)
        rows, columns = image.shape[1:]
        size = fit_size(rows * plane.spacing[0], columns * plane.spacing[1])
        yield Flat(
            plane,
            LINE if plane.axis is None else LINE + 1,
            size,
            encode_photo(window_grey(image, overlay.window), size),
            resample_nearest(plane.cut(prediction), size),
            None if label is None else resample_nearest(plane.cut(label).astype(np.int32), size),
        )


def _codes(flat: Flat) -> set[Agreement]:
    if flat.label is None:
        return set()
    return {Agreement(int(code)) for code in np.unique(compare_labels(flat.label, flat.prediction))}


def _show_case(identity: str, overlay: Overlay, flats: Sequence[Flat], classes: Sequence[str]) -> Html:
    dice = "" if math.isnan(overlay.dice) else f"Dice {format_number(overlay.dice)}"
    caption: list[Child] = [tag("strong", overlay.case), tag("span", overlay.caption), tag("span", dice, class_="dice")]
    rows = [_show_plane(f"{identity}-{number}", flat, classes) for number, flat in enumerate(flats)]
    kind = "case volume" if len(flats) > 1 else "case"
    return tag("figure", tag("figcaption", *caption), *rows, class_=kind)


def _show_plane(identity: str, flat: Flat, classes: Sequence[str]) -> Html:
    layers: list[tuple[str, ndarray]] = []
    if flat.label is not None:
        layers.append(("Truth", draw_contours(flat.label, flat.line)))
    if flat.label is None or len(classes) > 2:
        layers.append(("Prediction", draw_contours(flat.prediction, flat.line)))
    if flat.label is not None:
        layers.append((AGAINST, draw_agreement(flat.label, flat.prediction, flat.line)))
    panels = [show_panel(_plane_title(flat.plane), flat.size, *_bare(identity, flat))]
    panels += [show_panel(title, flat.size, *_layered(identity, flat, pixels)) for title, pixels in layers]
    return tag("div", *panels, class_=f"panels of{len(panels)}")


def _plane_title(plane: Plane) -> str:
    return f"Image, {plane.name} slice {plane.index}" if plane.name else "Image"


def show_panel(title: str, size: tuple[int, int], *children: Html) -> Html:
    """Set a drawing of `size` (rows, columns) above its title."""
    rows, columns = size
    fit = {"viewBox": f"0 0 {columns} {rows}", "preserveAspectRatio": "xMinYMid"}
    drawing = tag("svg", *children, **fit, role="img", aria_label=title, tabindex="0")
    return tag("div", drawing, tag("p", title), class_="panel")


def _bare(identity: str, flat: Flat) -> tuple[Html, ...]:
    rows, columns = flat.size
    top, left = flat.plane.edges
    above = tag("text", top, x=str(columns // 2), y="34", text_anchor="middle") if top else EMPTY
    beside = tag("text", left, x="12", y=str(rows // 2 + 12)) if left else EMPTY
    return show_image(flat.photo, flat.size, id=identity), above, beside


def _layered(identity: str, flat: Flat, pixels: ndarray) -> tuple[Html, ...]:
    photo = tag("use", href=f"#{identity}", filter="url(#muted)")
    return photo, show_image(encode_layer(pixels), flat.size, class_="layer")


def show_image(address: str, size: tuple[int, int], **attributes: str) -> Html:
    """Stretch a picture over a drawing of `size`."""
    rows, columns = size
    fit = {"width": str(columns), "height": str(rows), "preserveAspectRatio": "none"}
    return tag("image", href=address, **fit, **attributes)


def _swatch(colour: str, meaning: str, kind: str) -> Html:
    return tag("li", tag("i", class_=kind, style=f"--c:{colour}"), meaning)
