"""Explain: what a model makes of one image, as a page, pictures, maps and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ushape.core.errors import ConfigError
from ushape.explain.story import Place, follow_value
from ushape.explain.trace import View, trace_image
from ushape.prep.geometry import last_axes
from ushape.workflows.cams import explain_region
from ushape.workflows.explanation import Explanation
from ushape.workflows.filing import write_explanation
from ushape.workflows.looking import judge_gates, probe_window
from ushape.workflows.pick import Choice, follow_decision, list_classes, pick_class, read_class
from ushape.workflows.scene import Scene, open_scene
from ushape.workflows.source import model_path
from ushape.workflows.spot import Spot, lay_window
from ushape.workflows.stored import read_model


@dataclass(frozen=True)
class ExplainRequest:
    """What is to be explained.

    Attributes:
        output: a folder.
        label: the true mask.
        at: the voxel to follow, "row,col" or "z,y,x"; "" for one in the middle of what was found.
        class_name: the class to explain; "" for that of a chosen voxel, or the commonest.
        gradients: whether to look at gradients too; needs a label.
    """

    model: Path
    image: Path
    output: Path
    label: Path | None = None
    at: str = ""
    class_name: str = ""
    gradients: bool = False


def explain(request: ExplainRequest) -> tuple[Explanation, Path]:
    """Look into a model, or the first of an ensemble, while it works on an image; return what was found, and the page.

    Raises:
        ConfigError: the point is not in the image, the class is none of the foreground's, or gradients are asked for
            without a label.
        DataError: the image does not fit the model, or the class is not found.
    """
    if request.gradients and request.label is None:
        raise ConfigError("--gradients: expected a true mask to learn from, got none; give it with --label MASK")
    model = read_model(model_path(request.model))
    asked = read_class(request.class_name, model.recipe.data.labels.names)
    scene = open_scene(model, request.image, request.label)
    place = scene.choose(request.at, asked)
    wanted = pick_class(scene, place, asked, is_chosen=bool(request.at))
    found = look(scene, place, wanted, request)
    return found, write_explanation(request.output, scene, found)


def look(scene: Scene, place: Place, wanted: Choice, request: ExplainRequest) -> Explanation:
    """Find out what is told of a voxel, of the window around it, of the gates, and of a class."""
    values = follow_value(scene.case, scene.recipe.prep, place)
    spot = lay_window(scene, values.place)
    judged, maps = judge_gates(scene)
    names = scene.recipe.data.labels.names
    return Explanation(
        place=place,
        values=values,
        is_constant=all(np.ptp(channel) == 0 for channel in np.asarray(scene.case.image)),
        logits=tuple(map(float, spot.logits[last_axes(*spot.corner)])) if values.place else (),
        probabilities=read_probabilities(scene, place),
        decision=follow_decision(scene, place),
        true=() if scene.case.label is None else list_classes(scene.case.label, place, names),
        members=scene.members,
        rows=trace_image(scene.net, see(scene, spot)),
        gates=judged,
        gate_maps=maps,
        compared="prediction" if scene.case.label is None else "label",
        spoken=explain_region(scene, spot, wanted, is_chosen=bool(request.at and values.place)),
        flow=probe_window(scene, spot) if request.gradients else None,
    )


def see(scene: Scene, spot: Spot) -> View:
    """Put together what is traced: the window, and the probability of any foreground in it."""
    return View(spot.pixels, spot.widen(1 - spot.cut(scene.probabilities)[0]), spot.voxel)


def read_probabilities(scene: Scene, place: Place) -> dict[str, float]:
    """Return the probability of each class at a voxel of the image."""
    shares = scene.prediction.probabilities
    assert shares is not None  # noqa: S101 - a scene is predicted with them
    names = scene.recipe.data.labels.names
    return {name: float(share) for name, share in zip(names, shares[last_axes(*place)], strict=True)}
