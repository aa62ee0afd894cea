"""What was found out about a model and an image, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from ushape.explain.attention_maps import GateJudgement
from ushape.explain.cam import ClassMaps
from ushape.explain.gradients import FAULTS, GradientFlow
from ushape.explain.story import Decision, Place, ValueStory
from ushape.explain.trace import TracedRow


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model does with an image.

    Attributes:
        place: the voxel followed, on the image's own grid.
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


def to_json(found: Explanation) -> dict[str, Any]:
    """Return the numbers of an explanation; what is not finite becomes None."""
    return {
        "at": list(found.place),
        "values": [{"step": step.name, "values": list(step.values)} for step in found.values.steps],
        "logits": list(found.logits),
        "probabilities": dict(found.probabilities),
        "said": " and ".join(found.decision.said),
        "cleaned": [{"rule": rule, "decided": " and ".join(made)} for rule, made in found.decision.cleaned],
        "decided": " and ".join(found.decision.decided),
        "true": " and ".join(found.true) or None,
        "members": found.members,
        "stages": [_row(traced) for traced in found.rows],
        "gates": [_gate(name, judged) for name, judged in found.gates.items()],
        "compared": found.compared,
        "class": found.spoken.name or None,
        "gradients": _flow(found.flow) if found.flow else None,
    }


def _row(traced: TracedRow) -> dict[str, Any]:
    row = traced.row
    return {
        "stage": row.stage,
        "operation": row.operation,
        "shape": list(row.shape),
        "receptive_field": [_finite(size) for size in row.receptive_field],
        "image_kept": _finite(traced.image_kept),
        "answer_kept": _finite(traced.answer_kept),
        "zeros": traced.zeros,
        "silent": traced.silent,
        "strongest": traced.strongest[0],
    }


def _gate(name: str, judged: GateJudgement) -> dict[str, Any]:
    numbers = {key: _finite(value) for key, value in asdict(judged).items() if key != "verdict"}
    return {"gate": name, "verdict": judged.verdict, "contrast": _finite(judged.contrast), **numbers}


def _flow(flow: GradientFlow) -> dict[str, Any]:
    layers = [
        {key: _finite(value) if isinstance(value, float) else value for key, value in asdict(each).items()}
        for each in flow.layers
    ]
    faulty = [layer.layer for layer in flow.layers if layer.fault in FAULTS]
    return {"loss": _finite(flow.loss), "layers": layers, "faults": faulty, "dead": [asdict(u) for u in flow.dead]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
