"""What was found out about a model and an image, as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ushape.explain.attention_maps import GateJudgement
from ushape.explain.gradients import FAULTS, GradientFlow
from ushape.explain.trace import TracedRow
from ushape.workflows.explanation import Explanation


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
