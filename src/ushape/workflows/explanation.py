"""What was found out about a model and an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from ushape.explain.attention_maps import GateJudgement
from ushape.explain.cam import ClassMaps
from ushape.explain.gradients import GradientFlow
from ushape.explain.story import Decision, Place, ValueStory
from ushape.explain.trace import TracedRow


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model does with an image.

    Attributes:
        place: the voxel followed, on the image's own grid.
        is_constant: whether the image has one value everywhere.
        logits: of the voxel, per output; empty if the voxel was cropped off.
        probabilities: of the voxel, per class, as predicted: windows blended, taken back to the image's grid.
        decision, true: how it got its class; its label's, () if that is not known.
        members, rows: networks in the model; the layer table of the first, of the window around the voxel.
        gates, gate_maps: how each lies to what is `compared`, "label" or "prediction", and its map on the image's grid.
        spoken: what speaks for a class.
        flow: the gradients, if they were asked for.
    """

    place: Place
    values: ValueStory
    is_constant: bool
    logits: tuple[float, ...]
    probabilities: Mapping[str, float]
    decision: Decision
    true: tuple[str, ...]
    members: int
    rows: tuple[TracedRow, ...]
    gates: Mapping[str, GateJudgement]
    gate_maps: Mapping[str, Float[ndarray, "*space"]]
    compared: str
    spoken: ClassMaps
    flow: GradientFlow | None = None
