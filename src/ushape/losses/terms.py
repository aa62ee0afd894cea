"""The terms a loss is made of: formulas on `Scores`, each below the config it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, distributed

from ushape.core.config import Config
from ushape.losses.target import Scores

Scalar = Float[Tensor, ""]


class CrossEntropyConfig(Config):
    """Cross-entropy over classes (`ce`), or over each channel by itself (`bce`).

    Attributes:
        weight: factor in the sum.
    """

    weight: float = Field(1.0, ge=0)


def cross_entropy(scores: Scores, _: CrossEntropyConfig) -> Scalar:
    """Average -log p(truth) over the voxels, weighted by the class weight of what is true.

    0 if every voxel is ignored.

    >>> from ushape.losses.target import score
    >>> half = score(torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 0]]]), torch.tensor(()), "softmax")
    >>> round(cross_entropy(half, CrossEntropyConfig()).item(), 4)  # ln 2
    0.6931
    """
    return -_weighted_mean(scores.log_of_truth, scores.weight)


class FocalConfig(Config):
    """Cross-entropy that looks away from what is already right.

    Attributes:
        weight: factor in the sum.
        alpha: share of foreground; background counts 1 - alpha.
        gamma: how fast a voxel fades as it becomes right; 0 is cross-entropy.
    """

    weight: float = Field(1.0, ge=0)
    alpha: float = Field(0.8, gt=0, lt=1)
    gamma: float = Field(2.0, ge=0)


def focal(scores: Scores, config: FocalConfig) -> Scalar:
    """Average -alpha_t (1 - p_t)^gamma log p_t, where p_t is the probability given to what is true.

    alpha_t is alpha where the truth is foreground (any class of it), else 1 - alpha. 0 if every voxel is ignored.

    Source: Lin et al. 2017, arXiv:1708.02002, eq. 5. Differs: the mean over voxels, not over the positive ones.

    >>> from ushape.losses.target import score
    >>> half = score(torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 0]]]), torch.tensor(()), "softmax")
    >>> round(focal(half, FocalConfig()).item(), 4)  # (0.8 + 0.2) / 2 * (1 - 1/2)^2 * ln 2
    0.0866
    """
    alpha = torch.where(scores.positive, config.alpha, 1 - config.alpha)
    wrong = (-torch.expm1(scores.log_of_truth)).clamp(min=torch.finfo(scores.weight.dtype).tiny)
    return -_weighted_mean(alpha * wrong**config.gamma * scores.log_of_truth, scores.weight)


class DiceConfig(Config):
    """Soft Dice.

    Attributes:
        weight: factor in the sum.
        over: "batch" sums a class over the whole batch, "image" scores each image by itself and averages.
        background: whether the background is one of the classes of the mean (softmax only).
        smooth: added above and below; large values hide small objects (1 makes one false pixel a Dice of 0.5).
    """

    weight: float = Field(1.0, ge=0)
    over: Literal["batch", "image"] = "batch"
    background: bool = False
    smooth: float = Field(1e-5, ge=1e-6, le=1e-5)


def dice(scores: Scores, config: DiceConfig) -> Scalar:
    """Average 1 - (2 TP + s) / (2 TP + FP + FN + s) over the classes, never over the voxels of all classes.

    A class that neither the label nor the prediction has costs 0; one that is only predicted costs 1.
    With several processes the sums of "batch" run over all of them while gradients are on.

    Source: Milletari et al. 2016, arXiv:1606.04797. Differs: p, not p^2, below the fraction, as Drozdzal et al. 2016,
    arXiv:1608.04117.

    >>> from ushape.losses.target import score
    >>> half = score(torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 0]]]), torch.tensor(()), "softmax")
    >>> round(dice(half, DiceConfig()).item(), 4)  # TP = FP = FN = 1/2
    0.5
    """
    both, predicted, true = _overlap(scores, config)
    return (1 - (2 * both + config.smooth) / (predicted + true + config.smooth)).mean()


class TverskyConfig(Config):
    """Dice that can prefer false alarms to misses.

    Attributes:
        weight: factor in the sum.
        alpha: cost of a false positive.
        beta: cost of a false negative; alpha = beta = 0.5 is Dice.
        over, background, smooth: as in Dice.
    """

    weight: float = Field(1.0, ge=0)
    alpha: float = Field(0.3, gt=0)
    beta: float = Field(0.7, gt=0)
    over: Literal["batch", "image"] = "batch"
    background: bool = False
    smooth: float = Field(1e-5, ge=1e-6, le=1e-5)


def tversky(scores: Scores, config: TverskyConfig) -> Scalar:
    """Average 1 - (TP + s) / (TP + alpha FP + beta FN + s) over the classes; empty classes as in Dice.

    Source: Salehi et al. 2017, arXiv:1706.05721, eq. 3.

    >>> from ushape.losses.target import score
    >>> half = score(torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 0]]]), torch.tensor(()), "softmax")
    >>> round(tversky(half, TverskyConfig()).item(), 4)
    0.5
    """
    both, predicted, true = _overlap(scores, config)
    wrong = config.alpha * (predicted - both) + config.beta * (true - both)
    return (1 - (both + config.smooth) / (both + wrong + config.smooth)).mean()


TERMS: dict[str, Callable[[Scores, Any], Tensor]] = {
    "ce": cross_entropy,
    "bce": cross_entropy,
    "dice": dice,
    "focal": focal,
    "tversky": tversky,
}


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum()
    return (values * weight).sum() / torch.where(total > 0, total, 1.0)


def _overlap(scores: Scores, config: DiceConfig | TverskyConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Sum p * t, p and t over the valid voxels: (c,) over the batch or (b, c) per image."""
    first = 1 if scores.has_background and not config.background else 0
    p, truth = (scores.probability * scores.valid)[:, first:], scores.truth[:, first:]
    sums = torch.stack([(p * truth).flatten(2).sum(2), p.flatten(2).sum(2), truth.flatten(2).sum(2)])
    if config.over == "batch":
        sums = _sum_over_ranks(sums.sum(1))
    both, predicted, true = sums.unbind()
    return both, predicted, true


def _sum_over_ranks(x: Tensor) -> Tensor:
    """Add up the processes' sums; with DDP's averaged gradients this is the loss of the joined batch.

    All processes make the same loss of the sum, so that the gradients of all are this one's, so many times.
    """
    if torch.is_grad_enabled() and distributed.is_available() and distributed.is_initialized():
        total = x.detach().clone()
        distributed.all_reduce(total)
        return total + distributed.get_world_size() * (x - x.detach())
    return x
