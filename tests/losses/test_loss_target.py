"""The label finds the logits' grid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ushape.core.errors import ConfigError, ShapeError
from ushape.losses.compose import LevelsConfig, Loss, LossConfig, level_weights
from ushape.losses.target import crop_center, resize_nearest

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 24))


@given(SIZES, SIZES)
def test_resizing_a_label_is_torchs_nearest_exact(have: tuple[int, ...], want: tuple[int, ...]) -> None:
    label = torch.arange(have[0] * have[1] * have[2]).reshape(1, *have)
    expected = F.interpolate(label[None].double(), want, mode="nearest-exact")[0].long()
    assert torch.equal(resize_nearest(label, want), expected)


def test_a_cropped_label_is_the_centre() -> None:
    label = torch.arange(572 * 572).reshape(1, 572, 572)
    assert torch.equal(crop_center(label, (388, 388)), label[:, 92:480, 92:480])


def test_logits_of_an_unpadded_net_are_compared_with_the_centre() -> None:
    label = torch.randint(3, (2, 20, 21))
    logits = torch.randn(2, 3, 12, 13)
    loss = Loss(LossConfig())
    assert loss(logits, label) == loss(logits, label[:, 4:16, 4:17])


def test_a_label_smaller_than_the_logits_is_refused() -> None:
    with pytest.raises(ShapeError, match="no smaller than the logits"):
        Loss(LossConfig())(torch.zeros(1, 2, 8, 8), torch.zeros(1, 7, 8, dtype=torch.long))


def test_unpadded_nets_cannot_be_deeply_supervised() -> None:
    levels = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)]
    with pytest.raises(ShapeError, match='set padding = "same"'):
        Loss(LossConfig())(levels, torch.zeros(1, 16, 16, dtype=torch.long))


def test_labels_of_the_wrong_form_are_refused() -> None:
    bools, indices = torch.zeros(1, 2, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4, dtype=torch.long)
    with pytest.raises(ShapeError, match='head = "sigmoid"'):
        Loss(LossConfig())(torch.zeros(1, 2, 4, 4), bools)
    with pytest.raises(ShapeError, match="multilabel"):
        Loss(LossConfig.model_validate({"bce": {}}), "sigmoid")(torch.zeros(1, 3, 4, 4), bools)
    with pytest.raises(ShapeError, match="one channel"):
        Loss(LossConfig.model_validate({"bce": {}}), "sigmoid")(torch.zeros(1, 3, 4, 4), indices)
    with pytest.raises(ShapeError, match="expected a label"):
        Loss(LossConfig())(torch.zeros(1, 2, 4, 4), indices[None].expand(1, 1, 4, 4))


def test_a_label_outside_the_classes_is_not_accepted_silently() -> None:
    for label in (torch.full((1, 4, 4), 2), torch.full((1, 4, 4), -2)):
        with pytest.raises(RuntimeError, match="out of bounds"):
            Loss(LossConfig())(torch.zeros(1, 2, 4, 4), label)


def test_small_integer_labels_are_welcome() -> None:
    logits, label = torch.randn(1, 2, 4, 4), torch.randint(2, (1, 4, 4))
    assert Loss(LossConfig())(logits, label.to(torch.int16)) == Loss(LossConfig())(logits, label)
    assert Loss(LossConfig())(logits, label.to(torch.uint8)) == Loss(LossConfig())(logits, label)


def test_level_weights_halve_and_sum_to_one() -> None:
    assert level_weights(3, LevelsConfig()) == pytest.approx((4 / 7, 2 / 7, 1 / 7))
    assert level_weights(3, LevelsConfig(skip_lowest=True)) == pytest.approx((2 / 3, 1 / 3, 0))
    assert level_weights(1, LevelsConfig(skip_lowest=True)) == (1.0,)
    assert level_weights(2, LevelsConfig(weights=(1.0, 0.3))) == (1.0, 0.3)
    with pytest.raises(ConfigError, match="expected 3 weights"):
        level_weights(3, LevelsConfig(weights=(1.0, 0.3)))
