"""Supervise attention gates: they shall open where the foreground is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.losses.target import Label, at_least_float32, foreground


class GateLossConfig(Config):
    """The auxiliary loss on attention gates.

    Attributes:
        weight: factor in the sum; 0 leaves the gates to themselves.
    """

    weight: float = Field(0.0, ge=0)


def gate_loss(gate_logits: Sequence[Float[Tensor, "b 1 ..."]], label: Label) -> Float[Tensor, ""]:
    """Average over the gates the binary cross-entropy between a gate's logits and the share of foreground below it.

    The share is the mean of the foreground mask over the area of each voxel of the gate's map, ignored voxels left
    out. The maps must cover the label's whole grid. Logits, not maps: a map that has been through the sigmoid would
    be squashed a second time and could never reach 0 or 1.

    Args:
        label: as for `Loss`, at full resolution.
    Raises:
        ConfigError: there are no gates.

    >>> import torch
    >>> label = torch.tensor([[[0, 0], [0, 1]]])
    >>> round(gate_loss([torch.logit(torch.full((1, 1, 1, 1), 0.25))], label).item(), 4)  # the entropy of 1/4
    0.5623
    """
    if not gate_logits:
        raise ConfigError("loss.gates: expected a net with attention gates, got none; set loss.gates.weight = 0")
    found, known = foreground(label, gate_logits[0].ndim - 2)
    return torch.stack([_one_gate(at_least_float32(logits), found, known) for logits in gate_logits]).mean()


def _one_gate(logits: Tensor, found: Tensor, known: Tensor) -> Tensor:
    size = logits.shape[2:]
    weight = F.interpolate(known, size, mode="area").to(logits)
    share = F.interpolate(found, size, mode="area").to(logits) / weight.clamp(min=torch.finfo(torch.float32).tiny)
    loss = F.binary_cross_entropy_with_logits(logits, share, weight, reduction="sum")
    total = weight.sum()
    return loss / torch.where(total > 0, total, 1.0)
