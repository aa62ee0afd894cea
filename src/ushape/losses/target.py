"""Bring a label onto the logits' grid, and both into the form that every loss term reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor
from torch.nn import functional as F

from ushape.core.config import choose
from ushape.core.errors import ConfigError, ShapeError
from ushape.core.labels import IGNORE

Head = Literal["softmax", "sigmoid"]
Label = Integer[Tensor, "b *label_space"] | Bool[Tensor, "b k *label_space"]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a net says and what is true, voxel by voxel, in at least float32.

    A softmax head has one channel per class, the background first; a sigmoid head one per foreground class.

    Attributes:
        probability: of each channel.
        truth: 1 where the channel is true, else 0; 0 where the label is ignored.
        valid: 0 where the label is ignored, else 1.
        log_of_truth: log-probability given to what is true; one channel under softmax.
        positive: whether what is true is foreground; shaped as `log_of_truth`.
        weight: class weight of what is true, 0 where ignored; shaped as `log_of_truth`.
        has_background: whether channel 0 is the background.
    """

    probability: Float[Tensor, "b c *space"]
    truth: Float[Tensor, "b c *space"]
    valid: Float[Tensor, "b 1 *space"]
    log_of_truth: Float[Tensor, "b k *space"]
    positive: Bool[Tensor, "b k *space"]
    weight: Float[Tensor, "b k *space"]
    has_background: bool


def score(logits: Float[Tensor, "b c *space"], label: Label, weights: Float[Tensor, " w"], head: Head) -> Scores:
    """Compare logits with a label on the same grid.

    Args:
        label: (b, *space) class indices, `core.labels.IGNORE` where nothing is known; or (b, classes, *space) bool.
        weights: one per class; empty for none.
    Raises:
        ShapeError: the label's form does not fit the head.
        ConfigError: there are weights for another number of classes.

    >>> import torch
    >>> scores = score(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, -1]]]), torch.tensor([1.0, 5.0]), "softmax")
    >>> scores.truth[0, :, 0].tolist(), scores.weight[0, 0, 0].tolist()
    ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [1.0, 5.0, 0.0])
    """
    return choose(head, _HEADS, "head")(at_least_float32(logits), label, weights)


def at_least_float32(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return float16 and bfloat16 as float32: a sum of 256 x 257 ones does not fit into float16."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def crop_center(x: Tensor, size: Sequence[int]) -> Tensor:
    """Cut the centre of `size` out of the last axes, for nets whose unpadded convolutions lose the border.

    Raises:
        ShapeError: the array is smaller than `size`.

    >>> import torch
    >>> crop_center(torch.arange(7)[None], [3])
    tensor([[2, 3, 4]])
    """
    have = x.shape[x.ndim - len(size) :]
    if any(h < want for h, want in zip(have, size, strict=True)):
        raise ShapeError(
            f"loss: expected a label no smaller than the logits {tuple(size)}, got {tuple(x.shape)}; "
            "both must come from the same patch"
        )
    for axis, want in enumerate(size, start=x.ndim - len(size)):
        x = x.narrow(axis, (x.shape[axis] - want) // 2, want)
    return x


def resize_nearest(x: Tensor, size: Sequence[int]) -> Tensor:
    """Sample the last axes at the centres of a grid of `size`: "nearest-exact", for any dtype, so labels stay labels.

    >>> import torch
    >>> resize_nearest(torch.tensor([[0, 0, 7, -1]]), [2])
    tensor([[ 0, -1]])
    """
    for axis, want in enumerate(size, start=x.ndim - len(size)):
        if x.shape[axis] != want:
            centers = (2 * torch.arange(want, device=x.device) + 1) * x.shape[axis] // (2 * want)
            x = x.index_select(axis, centers)
    return x


def foreground(label: Label, ndim: int) -> tuple[Float[Tensor, "b 1 *space"], Float[Tensor, "b 1 *space"]]:
    """Return where a label of `ndim` spatial axes is any foreground class, and where it is known, as 0 and 1."""
    if label.dtype == torch.bool:
        found = label.any(dim=1, keepdim=True).float()
        return found, torch.ones_like(found)
    if label.ndim != ndim + 1:
        raise ShapeError(f"loss: expected a label of {ndim} spatial axes, got {tuple(label.shape)}")
    return (label > 0).float().unsqueeze(1), (label != IGNORE).float().unsqueeze(1)


def _score_softmax(logits: Tensor, label: Tensor, weights: Tensor) -> Scores:
    if label.dtype == torch.bool or logits.shape[1] < 2:
        raise ShapeError(
            f"loss: expected class indices and at least 2 channels under a softmax head, got a {label.dtype} label "
            f'and {logits.shape[1]} channels; use head = "sigmoid"'
        )
    index, valid = _split_ignored(label, logits)
    log_p = F.log_softmax(logits, dim=1)
    return Scores(
        probability=log_p.exp(),
        truth=_one_hot(index, log_p) * valid,
        valid=valid,
        log_of_truth=log_p.gather(1, index),
        positive=index > 0,
        weight=valid * _weight_of(index, weights, logits.shape[1]),
        has_background=True,
    )


def _score_sigmoid(logits: Tensor, label: Tensor, weights: Tensor) -> Scores:
    truth, valid, weight = (_read_multilabel if label.dtype == torch.bool else _read_binary)(logits, label, weights)
    return Scores(
        probability=logits.sigmoid(),
        truth=truth,
        valid=valid,
        log_of_truth=F.logsigmoid(logits * (2 * truth - 1)),
        positive=truth > 0,
        weight=weight,
        has_background=False,
    )


_HEADS: dict[str, Callable[[Tensor, Tensor, Tensor], Scores]] = {"softmax": _score_softmax, "sigmoid": _score_sigmoid}


def _read_multilabel(logits: Tensor, label: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if label.shape != logits.shape:
        raise ShapeError(f"loss: expected a multilabel label {tuple(logits.shape)}, got {tuple(label.shape)}")
    valid = torch.ones_like(logits[:, :1])
    channel = torch.arange(logits.shape[1], device=logits.device).reshape(1, -1, *[1] * (logits.ndim - 2))
    weight = _weight_of(channel, weights, logits.shape[1])
    return label.to(logits), valid, (valid * weight).expand_as(logits)


def _read_binary(logits: Tensor, label: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if logits.shape[1] != 1:
        raise ShapeError(
            f"loss: expected one channel for class indices under a sigmoid head, got {logits.shape[1]}; "
            'use head = "softmax", or a bool label (b, classes, ...)'
        )
    index, valid = _split_ignored(label, logits)
    truth = _one_hot(index, logits.expand(-1, 2, *logits.shape[2:]))[:, 1:]
    return truth * valid, valid, valid * _weight_of(index, weights, 2)


def _split_ignored(label: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    if label.shape != logits[:, 0].shape:
        raise ShapeError(f"loss: expected a label {tuple(logits[:, 0].shape)}, got {tuple(label.shape)}")
    ignored = label == IGNORE
    return label.masked_fill(ignored, 0).long().unsqueeze(1), (~ignored).to(logits).unsqueeze(1)


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=like.dtype, device=like.device).scatter_(1, index, 1.0)


def _weight_of(index: Tensor, weights: Tensor, classes: int) -> Tensor:
    if not weights.numel():
        return torch.ones((), device=index.device)
    if weights.numel() != classes:
        raise ConfigError(f"loss.class_weights: expected {classes} weights, one per class, got {weights.numel()}")
    return weights[index]
