"""The page of an explanation."""

from __future__ import annotations

from collections.abc import Mapping

from ushape.explain.diagram import draw_network
from ushape.report.heat import Picture, show_strips
from ushape.report.insight import CAMS, GATES, MOSAICS, STAGES, UNSEEN, WALK
from ushape.report.markup import Html, join, paragraphs, tag
from ushape.report.page import Section
from ushape.workflows.drawing import (
    draw_beside,
    draw_case,
    set_figure,
    show_levels,
    tell_range,
)
from ushape.workflows.explanation import Explanation
from ushape.workflows.lessons import show_flow
from ushape.workflows.numbers import show_gates, show_story, stage_table
from ushape.workflows.scene import Scene
from ushape.workflows.summary import name_unit

NO_GATES = "This network has no attention gates. A net with them is trained by --set net.skip=gate."
NO_CLASS = "No foreground was predicted, so there is no class to explain."
NO_FLOW = "They are shown with --gradients and a true mask, --label MASK."

XMLNS = ' xmlns="http://www.w3.org/2000/svg"'
"""What a file in SVG begins with, and a page does without."""
Drawn = Mapping[str, list[Picture]]


def list_sections(scene: Scene, found: Explanation, drawn: Drawn, channels: list[Picture]) -> list[Section]:
    """Put the page together."""
    several = scene.recipe.net.ndim == 3
    window = tuple(scene.recipe.predict.window.size)
    drawing = draw_network(scene.recipe.net, window).replace(XMLNS, "", 1)
    figure = tag("figure", Html(drawing), class_="network")
    gates = [
        set_figure(f"{name}: {tell_range(one)}", draw_beside(scene, found, drawn[f"gate_{name}"]), several=several)
        for name, one in found.gate_maps.items()
    ]
    about = tag("p", GATES.format(compared=found.compared), class_="note")
    cams = {name.removeprefix("cam_"): each for name, each in drawn.items() if name.startswith("cam_")}
    told = CAMS.format(name=found.spoken.name, reason=found.spoken.reason)
    told += "" if found.spoken.seen.all() else UNSEEN
    walk = [figure, paragraphs((STAGES, WALK), class_="note"), stage_table(found), tag("p", MOSAICS)]
    return [
        Section("image", "The image and the prediction", draw_case(scene, found)),
        Section("voxel", f"The story of one {name_unit(found.place)}", show_story(found, scene.recipe.head)),
        Section("walk", "Through the network", join([*walk, show_strips(channels)])),
        Section("gates", "Attention gates", join([about, show_gates(found), *gates]) if gates else None, NO_GATES),
        Section(
            "class",
            f"What speaks for {found.spoken.name or 'a class'}",
            join([tag("p", told, class_="note"), show_levels(cams)]) if cams else None,
            NO_CLASS,
        ),
        Section("gradients", "Gradients", show_flow(found.flow) if found.flow else None, NO_FLOW),
    ]
