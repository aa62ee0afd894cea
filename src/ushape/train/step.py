"""From a batch to its loss; without lightning, so that others than a training can ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

WatchGates = Callable[[Any], AbstractContextManager[Mapping[str, Tensor]]]
"""Collect the logits of a net's attention gates while it runs, by the name of the gate."""


def compute_loss(net: nn.Module, loss: nn.Module, watch_gates: WatchGates, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the loss of a net on one batch, its attention gates considered."""
    with watch_gates(net) as gates:
        logits = net(batch["image"])
    value: Tensor = loss(logits, batch["label"], list(gates.values()))
    return value
