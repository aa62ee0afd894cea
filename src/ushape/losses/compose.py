"""The loss of a recipe: a weighted sum of terms, at every supervised level, and on the gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from ushape.core.config import Config
from ushape.core.errors import ConfigError, ShapeError
from ushape.losses.balance import Balance
from ushape.losses.gates import GateLossConfig, gate_loss
from ushape.losses.target import Head, Label, at_least_float32, crop_center, resize_nearest, score
from ushape.losses.terms import TERMS, CrossEntropyConfig, DiceConfig, FocalConfig, TverskyConfig

NotNegative = Annotated[float, Field(ge=0)]
_ONLY_UNDER: dict[str, Head] = {"ce": "softmax", "bce": "sigmoid"}
_DEFAULT_TERMS: dict[str, Any] = {"ce": {}, "dice": {}}


class LevelsConfig(Config):
    """How much each level of a deeply supervised net counts.

    Attributes:
        weights: one per level, finest first, used as they stand; empty: 1, 1/2, 1/4, ... divided by their sum.
        skip_lowest: give the coarsest level 0, as nnU-Net does.
    """

    weights: tuple[NotNegative, ...] = ()
    skip_lowest: bool = False


class LossConfig(Config):
    """Which terms are added, and how much of each.

    Without any term named: cross-entropy + batch Dice without background. With one named: only those that are.

    Attributes:
        ce: cross-entropy over softmax classes.
        bce: cross-entropy of sigmoid channels.
        class_weights: one per class for ce, bce and focal, the background first; empty for none. The name of a rule
            ("inverse", "inverse_sqrt", "log") stands for numbers that the plan works out from the data set.
        gates: auxiliary loss on the logits of attention gates.
        levels: weights of deep supervision.

    >>> config = LossConfig.model_validate({"bce": {"weight": 0.5}, "dice": {"weight": 0.5, "smooth": 1e-6}})
    >>> config.terms
    {'bce': 0.5, 'dice': 0.5}
    """

    ce: CrossEntropyConfig = CrossEntropyConfig(weight=0)
    bce: CrossEntropyConfig = CrossEntropyConfig(weight=0)
    dice: DiceConfig = DiceConfig(weight=0)
    focal: FocalConfig = FocalConfig(weight=0)
    tversky: TverskyConfig = TverskyConfig(weight=0)
    class_weights: tuple[NotNegative, ...] | Balance = ()
    gates: GateLossConfig = GateLossConfig()
    levels: LevelsConfig = LevelsConfig()

    @property
    def terms(self) -> dict[str, float]:
        """The weight of each term that counts."""
        weights = {name: float(getattr(self, name).weight) for name in TERMS}
        return {name: weight for name, weight in weights.items() if weight > 0}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_default_terms(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.keys() & TERMS.keys():
            return {**data, **_DEFAULT_TERMS}
        return data

    @model_validator(mode="after")
    def _has_a_term(self) -> LossConfig:
        if not self.terms:
            raise ValueError(f"at least one term needs a weight above 0: {', '.join(TERMS)}")
        return self


class Loss(nn.Module):
    """The weighted sum of the terms, in float32 whatever the logits are in.

    Deep supervision: of a list of logits, finest first, each is compared with the label sampled onto its own grid.
    Logits smaller than the label (unpadded convolutions) are compared with the label's centre.

    Shapes:
        logits: (b, classes, *space), under a sigmoid head (b, 1, *space) or multilabel (b, classes, *space)
        label: (b, *space) class indices with `core.labels.IGNORE`, or (b, classes, *space) bool for multilabel
        gate_logits: (b, 1, *any_space) each
        output: a scalar; 0 if every voxel is ignored and never NaN for finite logits

    Raises:
        ConfigError: a term does not fit the head.

    >>> import torch
    >>> label = torch.tensor([[[0, 1], [2, -1]]])
    >>> perfect = torch.nn.functional.one_hot(label.clamp(min=0), 3).movedim(-1, 1) * 40.0
    >>> Loss(LossConfig())(perfect, label).item()
    0.0
    """

    class_weights: Tensor

    def __init__(self, config: LossConfig, head: Head = "softmax") -> None:
        super().__init__()
        _check_head(config, head)
        if isinstance(config.class_weights, str):
            raise ConfigError(
                f"loss.class_weights: expected numbers, got the rule {config.class_weights!r}; "
                "work them out with losses.balance.weigh_classes"
            )
        self.config = config
        self.head: Head = head
        self.register_buffer("class_weights", torch.tensor(config.class_weights), persistent=False)

    def forward(
        self, logits: Tensor | Sequence[Tensor], label: Label, gate_logits: Sequence[Tensor] = ()
    ) -> Float[Tensor, ""]:
        """Compare logits, or a list of them from fine to coarse, with a label."""
        levels = [logits] if isinstance(logits, Tensor) else list(logits)
        weights = level_weights(len(levels), self.config.levels)
        parts = [
            w * self._level(x, fit_label(label, levels, x)) if w else _zero_of(x)
            for w, x in zip(weights, levels, strict=True)
        ]
        if self.config.gates.weight:
            check_cover(label, levels[0])
            parts.append(self.config.gates.weight * gate_loss(gate_logits, label))
        return torch.stack(parts).sum()

    def _level(self, logits: Tensor, label: Tensor) -> Tensor:
        scores = score(logits, label, self.class_weights, self.head)
        parts = [weight * TERMS[name](scores, getattr(self.config, name)) for name, weight in self.config.terms.items()]
        return torch.stack(parts).sum()


def level_weights(levels: int, config: LevelsConfig) -> tuple[float, ...]:
    """Return the weight of each level, finest first.

    Source: 1/2^i and the skipped lowest level are nnU-Net's, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.

    Raises:
        ConfigError: there are weights for another number of levels.

    >>> level_weights(3, LevelsConfig(skip_lowest=True))
    (0.6666666666666666, 0.3333333333333333, 0.0)
    """
    if config.weights and len(config.weights) != levels:
        raise ConfigError(
            f"loss.levels.weights: expected {levels} weights, one per supervised level, got {len(config.weights)}"
        )
    raw = list(config.weights or (0.5**i for i in range(levels)))
    if config.skip_lowest and levels > 1:
        raw[-1] = 0.0
    total = 1.0 if config.weights else sum(raw)
    return tuple(weight / total for weight in raw)


def fit_label(label: Label, levels: Sequence[Tensor], logits: Tensor) -> Tensor:
    """Bring the label onto the grid of one level's logits: crop to the finest level, then sample.

    Raises:
        ShapeError: the label is smaller than the logits; or it would have to be cropped and sampled, and coarse
            levels of unpadded nets see another part of the image than the finest does.

    >>> import torch
    >>> levels = [torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 2)]
    >>> fit_label(torch.tensor([[[0, 1, 0, 2]]]), levels, levels[1])
    tensor([[[1, 2]]])
    """
    finest = levels[0].shape[2:]
    cropped = crop_center(label, finest)
    if cropped.shape != label.shape and logits.shape[2:] != finest:
        raise ShapeError(
            f"loss: expected logits of the label's size {tuple(label.shape)} for deep supervision, got "
            f'{tuple(finest)}; set padding = "same"'
        )
    return resize_nearest(cropped, logits.shape[2:])


def check_cover(label: Label, logits: Tensor) -> None:
    """Refuse logits of a part of the label: the maps of gates lie on yet another part of it.

    Raises:
        ShapeError: the logits are smaller than the label.
    """
    space, found = tuple(label.shape[2 - logits.ndim :]), tuple(logits.shape[2:])
    if space != found:
        raise ShapeError(
            f"loss.gates: expected logits of the label's size {space}, got {found}; unpadded convolutions show the "
            'gates another part of the image: set net.block.padding = "same", or loss.gates.weight = 0'
        )


def _zero_of(logits: Tensor) -> Tensor:
    """Return 0 with a gradient: data parallelism wants one for every parameter, a skipped level's too."""
    return (at_least_float32(logits[:1]) * 0).sum()


def _check_head(config: LossConfig, head: Head) -> None:
    for name, needed in _ONLY_UNDER.items():
        if name in config.terms and head != needed:
            other = next(key for key, value in _ONLY_UNDER.items() if value == head)
            raise ConfigError(
                f'loss.{name}: expected head = "{needed}", got "{head}"; set loss.{name}.weight = 0 and name '
                f"loss.{other} instead"
            )
