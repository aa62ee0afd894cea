"""The loss of a whole case, worked out from the probabilities that its windows were blended to."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from ushape.core.labels import AnyLabel
from ushape.losses.compose import Loss, LossConfig
from ushape.losses.gates import GateLossConfig
from ushape.losses.target import Head

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1, so that one wrong voxel cannot cost everything."""


def loss_of_case(
    probabilities: Float[ndarray, "all_classes *space"], label: AnyLabel, config: LossConfig, head: Head
) -> float:
    """Return the loss of one case; gates and lower levels, which are there for training, are left out.

    Args:
        probabilities: of all classes, the background's included, under either head.

    >>> label = np.array([[0, 1]])
    >>> half = np.full((2, 1, 2), 0.5, dtype=np.float32)
    >>> round(loss_of_case(half, label, LossConfig.model_validate({"ce": {}}), "softmax"), 4)  # ln 2
    0.6931
    """
    p = torch.from_numpy(probabilities).clamp(SMALLEST, 1 - SMALLEST)[None]
    logits = torch.logit(p[:, 1:]) if head == "sigmoid" else p.log()
    loss = Loss(config.model_copy(update={"gates": GateLossConfig()}), head)
    target = label if label.dtype == bool else label.astype(np.int64)
    return float(loss(logits, torch.from_numpy(np.ascontiguousarray(target))[None]))
