"""The pictures of an explanation: planes through the voxel, maps laid over them, channels side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy import ndarray

from ushape.core.labels import flatten
from ushape.report.contents import Overlay
from ushape.report.gallery import show_gallery
from ushape.report.heat import Picture, draw_heat, draw_image, draw_outlined, mark_place, show_pictures, stretch
from ushape.report.markup import Html, join, tag
from ushape.report.planes import Plane, planes
from ushape.workflows.explanation import Explanation
from ushape.workflows.scene import Scene
from ushape.workflows.summary import name_voxel


def draw_case(scene: Scene, found: Explanation) -> Html:
    """Set the voxel in its image, and below it prediction and label as a report has them."""
    image, case = np.asarray(scene.case.image), scene.case
    here = np.zeros(case.space, dtype=bool)
    here[found.place] = True
    marked = []
    for plane in through(scene, found):
        row, column = np.argwhere(plane.cut(here))[0]
        pixels = mark_place(draw_image(plane.cut(image)), (int(row), int(column)))
        marked.append(Picture(f"Followed: {name_voxel(found.place)}, {name_plane(plane)}", pixels, plane.spacing))
    label = None if case.label is None else flatten(case.label)
    overlay = Overlay(case.name, "", image, flatten(scene.prediction.label), label, float("nan"), case.geometry)
    return join([show_pictures(marked), show_gallery([overlay], scene.recipe.data.labels.names)])


def draw_maps(scene: Scene, found: Explanation) -> dict[str, list[Picture]]:
    """Draw each gate's map with the outline of what it was compared with, and each level's with that of the region."""
    compared = flatten(scene.prediction.label if scene.case.label is None else scene.case.label) > 0
    gates = {f"gate_{name}": (stretch(one)[0], compared) for name, one in found.gate_maps.items()}
    spoken = found.spoken
    cams = {f"cam_{name}": (one, spoken.region, spoken.seen) for name, one in spoken.levels.items()}
    planes_through = list(through(scene, found))
    return {
        name: [
            Picture(name_plane(plane, "Map"), draw_heat(*map(plane.cut, layers)), plane.spacing)
            for plane in planes_through
        ]
        for name, layers in (gates | cams).items()
    }


def tell_range(gate_map: ndarray) -> str:
    """Say what the colours of a gate's map stand for."""
    _, low, high = stretch(gate_map)
    return f"violet lets {100 * low:.0f} % pass, yellow {100 * high:.0f} %"


def draw_beside(scene: Scene, found: Explanation, drawn: list[Picture]) -> Html:
    """Set each plane of a map beside the prediction, and the label if there is one."""
    image = np.asarray(scene.case.image)
    masks = {"Prediction": scene.prediction.label} | ({} if scene.case.label is None else {"Truth": scene.case.label})
    rows = []
    for plane, picture in zip(through(scene, found), drawn, strict=True):
        flats = {name: np.ascontiguousarray(plane.cut(flatten(mask))) for name, mask in masks.items()}
        shown = {name: draw_outlined(plane.cut(image), flat) for name, flat in flats.items()}
        beside = [Picture(name, pixels, plane.spacing) for name, pixels in shown.items()]
        rows.append(show_pictures([picture, *beside]))
    return join(rows)


def show_levels(drawn: Mapping[str, list[Picture]]) -> Html:
    """Set the maps of several levels: side by side if each is one picture, else in a row each."""
    if all(len(pictures) == 1 for pictures in drawn.values()):
        return show_pictures([Picture(name, each.pixels, each.spacing) for name, (each,) in drawn.items()])
    return join(set_figure(name, show_pictures(pictures), several=True) for name, pictures in drawn.items())


def set_figure(title: str, body: Html, *, several: bool) -> Html:
    """Set pictures below a title."""
    heading = tag("figcaption", tag("strong", title))
    return tag("figure", heading, body, class_="case volume" if several else "case")


def through(scene: Scene, found: Explanation) -> Iterator[Plane]:
    """Yield the planes through the voxel."""
    here = np.zeros(scene.case.space, dtype=bool)
    here[found.place] = True
    yield from planes(here, scene.case.geometry)


def name_plane(plane: Plane, flat: str = "image") -> str:
    """Name a plane as a title does; `flat` is what the only one of a picture is called."""
    return f"{plane.name} slice {plane.index}" if plane.name else flat
