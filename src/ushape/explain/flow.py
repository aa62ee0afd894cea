"""Gradient flow through a whole training: what `train` writes down of it, and what that says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from torch import Tensor, nn

from ushape.core.events import count
from ushape.explain.gradients import FAULTS, Step, count_dead, judge_gradients, watch_relus

Row = Mapping[str, object]
ALWAYS_TOLD = ("exploding", "not finite")
"""Faults that are told of any look; others only of the last, since a gate's last layer starts at 0 on purpose."""


def watch_flow(step: Step) -> Callable[[nn.Module], AbstractContextManager[Callable[[], list[Row]]]]:
    """Return what watches a net within a block, and reads the gradients that lie in it as rows of a table."""

    @contextmanager
    def watch(net: nn.Module) -> Iterator[Callable[[], list[Row]]]:
        with watch_relus(net) as alive:
            yield lambda: [*_layer_rows(net, step), *_dead_rows(alive)]

    return watch


def _layer_rows(net: nn.Module, step: Step) -> Iterator[Row]:
    gradients = {name: weight.grad for name, weight in net.named_parameters() if weight.requires_grad}
    for layer in judge_gradients(net, gradients, step):
        numbers = {"norm": layer.norm, "zeros": layer.zeros, "weights": layer.weight, "change": layer.step}
        written = {name: f"{value:.4g}" for name, value in numbers.items()}
        yield {"layer": layer.layer, **written, "dead": "", "fault": layer.fault}


def _dead_rows(alive: Mapping[str, Tensor]) -> Iterator[Row]:
    for unit in count_dead(alive):
        numbers = dict.fromkeys(("norm", "zeros", "weights", "change"), "")
        yield {"layer": unit.layer, **numbers, "dead": f"{unit.dead}/{unit.channels}", "fault": unit.fault}


def last_look(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the last step that was looked at; none if there were none."""
    return [row for row in rows if row["step"] == rows[-1]["step"]]


def tell_flow(rows: Sequence[Row]) -> list[str]:
    """Say what is wrong with the gradients of a training, and what to do; nothing if none were looked at.

    >>> row = {"step": "4", "layer": "heads.0", "fault": ""}
    >>> tell_flow([row])
    ['Gradients, looked at in 1 step: no layer has a fault.']
    >>> tell_flow([row | {"fault": "missing"}])[0][:54]
    'heads.0: no gradient reaches it: it does not take part'
    """
    if not rows:
        return []
    looks = len({row["step"] for row in rows})
    last = {(row["layer"], row["fault"]) for row in last_look(rows)}
    seen: dict[tuple[object, object], int] = {}
    for row in rows:
        key = (row["layer"], row["fault"])
        if row["fault"] and (key in last or row["fault"] in ALWAYS_TOLD):
            seen[key] = seen.get(key, 0) + 1
    told = [
        f"{layer}: {'; '.join(FAULTS[str(fault)])} (in {times} of {looks} looks)."
        for (layer, fault), times in seen.items()
    ]
    return told or [f"Gradients, looked at in {count(looks, 'step')}: no layer has a fault."]
