"""Each term against its formula, written again in float64 NumPy, and in the corners where losses go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ushape.losses.compose import Loss, LossConfig
from ushape.losses.target import Head

EVERY_TERM = ("ce", "dice", "focal", "tversky")
SURE = 60.0


def make_loss(head: Head = "softmax", **terms: object) -> Loss:
    return Loss(LossConfig.model_validate(terms), head)


def draw(shape: tuple[int, ...], classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape[0], classes, *shape[1:], generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, shape, generator=generator)


def softmax(logits: Tensor) -> np.ndarray:
    e = np.exp(logits.detach().double().numpy())
    return e / e.sum(1, keepdims=True)


def sure_of(label: Tensor, classes: int) -> Tensor:
    return F.one_hot(label.clamp(min=0), classes).movedim(-1, 1) * SURE - SURE / 2


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 3, 4, 5)])
def test_cross_entropy_is_the_mean_of_minus_log_p(shape: tuple[int, ...]) -> None:
    logits, label = draw(shape, 3)
    p = np.take_along_axis(softmax(logits), label.numpy()[:, None], 1)
    assert make_loss(ce={})(logits, label).item() == pytest.approx(-np.log(p).mean())


def test_weighted_cross_entropy_is_torchs() -> None:
    logits, label = draw((2, 5, 7), 3)
    label[0, 0] = -1
    weights = (0.5, 1.0, 4.0)
    want = F.cross_entropy(logits, label, torch.tensor(weights, dtype=torch.float64), ignore_index=-1)
    assert make_loss(ce={}, class_weights=weights)(logits, label).item() == pytest.approx(want.item())


def test_binary_cross_entropy_is_torchs_for_indices_and_for_multilabel() -> None:
    logits, _ = draw((2, 5, 7), 3)
    truth = torch.rand(2, 3, 5, 7) < 0.5
    want = F.binary_cross_entropy_with_logits(logits, truth.double())
    assert make_loss("sigmoid", bce={})(logits, truth).item() == pytest.approx(want.item())
    one = F.binary_cross_entropy_with_logits(logits[:, :1], truth[:, :1].double())
    assert make_loss("sigmoid", bce={})(logits[:, :1], truth[:, 0].long()).item() == pytest.approx(one.item())


def dice_by_hand(p: np.ndarray, label: np.ndarray, classes: range, axes: tuple[int, ...]) -> float:
    scores = []
    for c in classes:
        t = (label == c).astype(float)
        scores.append((2 * (p[:, c] * t).sum(axes) + 1e-5) / (p[:, c].sum(axes) + t.sum(axes) + 1e-5))
    return float(1 - np.mean(scores))


@pytest.mark.parametrize(("over", "axes"), [("image", (1, 2)), ("batch", (0, 1, 2))])
@pytest.mark.parametrize("background", [False, True])
def test_dice_is_the_mean_over_classes(over: str, axes: tuple[int, ...], background: bool) -> None:
    logits, label = draw((3, 5, 7), 4)
    want = dice_by_hand(softmax(logits), label.numpy(), range(0 if background else 1, 4), axes)
    assert make_loss(dice={"over": over, "background": background})(logits, label).item() == pytest.approx(want)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.8, 2.0), (0.25, 0.5), (0.5, 0.0)])
def test_focal_is_its_formula(alpha: float, gamma: float) -> None:
    logits, label = draw((2, 5, 7), 3)
    p = np.take_along_axis(softmax(logits), label.numpy()[:, None], 1)[:, 0]
    share = np.where(label.numpy() > 0, alpha, 1 - alpha)
    want = -(share * (1 - p) ** gamma * np.log(p)).mean()
    assert make_loss(focal={"alpha": alpha, "gamma": gamma})(logits, label).item() == pytest.approx(want)


def test_focal_has_the_published_defaults() -> None:
    assert (LossConfig().focal.alpha, LossConfig().focal.gamma) == (0.8, 2.0)


@pytest.mark.parametrize("name", ["focal", "dice", "tversky"])
def test_two_softmax_classes_say_the_same_as_one_sigmoid_channel(name: str) -> None:
    logits, label = draw((2, 5, 7), 2)
    one = logits[:, 1:] - logits[:, :1]
    want = make_loss(**{name: {}})(logits, label)
    torch.testing.assert_close(make_loss("sigmoid", **{name: {}})(one, label), want)


def test_tversky_is_its_formula() -> None:
    logits, label = draw((2, 5, 7), 2)
    p, t = softmax(logits)[:, 1], label.numpy() == 1
    hit, alarm, miss = (p * t).sum(), (p * ~t).sum(), ((1 - p) * t).sum()
    want = 1 - hit / (hit + 0.3 * alarm + 0.7 * miss)
    assert make_loss(tversky={})(logits, label).item() == pytest.approx(want, rel=1e-6)


def test_tversky_with_equal_costs_is_dice() -> None:
    logits, label = draw((2, 5, 7), 3)
    tversky = make_loss(tversky={"alpha": 0.5, "beta": 0.5})(logits, label)
    torch.testing.assert_close(tversky, make_loss(dice={})(logits, label), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EVERY_TERM)
@pytest.mark.parametrize("over", ["batch", "image"])
def test_every_gradient_is_right(name: str, over: str) -> None:
    logits, label = draw((2, 2, 3), 3)
    label[0, 0, 0] = -1
    options = {"over": over} if name in ("dice", "tversky") else {}
    loss = make_loss(**{name: options})
    assert torch.autograd.gradcheck(lambda x: loss(x, label), logits.requires_grad_())


@pytest.mark.parametrize("name", ["bce", "dice", "focal", "tversky"])
def test_every_gradient_of_a_multilabel_loss_is_right(name: str) -> None:
    logits, _ = draw((2, 2, 3), 3)
    truth = torch.rand(2, 3, 2, 3) < 0.5
    loss = make_loss("sigmoid", **{name: {}})
    assert torch.autograd.gradcheck(lambda x: loss(x, truth), logits.requires_grad_())


@pytest.mark.parametrize("name", EVERY_TERM)
@pytest.mark.parametrize("fill", [0, 1, -1])
@pytest.mark.parametrize("guess", [0, 1])
def test_empty_full_and_ignored_masks_are_finite_and_so_are_their_gradients(name: str, fill: int, guess: int) -> None:
    logits = sure_of(torch.full((2, 6, 6), guess), 2).requires_grad_()
    loss = make_loss(**{name: {}})(logits, torch.full((2, 6, 6), fill))
    loss.backward()
    assert logits.grad is not None
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    if fill in (guess, -1):
        assert loss.item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", EVERY_TERM)
def test_a_perfect_prediction_costs_nothing(name: str) -> None:
    _, label = draw((2, 6, 6), 3)
    assert make_loss(**{name: {}})(sure_of(label, 3), label).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["dice", "tversky"])
@pytest.mark.parametrize("over", ["batch", "image"])
def test_all_foreground_on_an_empty_batch_is_as_wrong_as_can_be(name: str, over: str) -> None:
    label = torch.zeros(2, 6, 6, dtype=torch.long)
    assert make_loss(**{name: {"over": over}})(sure_of(label + 1, 2), label).item() > 0.99


@pytest.mark.parametrize("name", EVERY_TERM)
def test_ignored_voxels_change_nothing(name: str) -> None:
    logits, label = draw((2, 6, 6), 3)
    label[:, 3:] = -1
    other = logits.clone()
    other[:, :, 3:] = torch.randn_like(other[:, :, 3:])
    loss = make_loss(**{name: {}})
    assert loss(logits, label) == loss(other, label)
    torch.testing.assert_close(loss(logits, label), loss(logits[:, :, :3], label[:, :3]))


@pytest.mark.parametrize("name", ["bce", "dice", "focal", "tversky"])
def test_ignored_voxels_change_nothing_under_a_sigmoid_head(name: str) -> None:
    logits, label = draw((2, 6, 6), 2)
    label[:, 3:] = -1
    loss = make_loss("sigmoid", **{name: {}})
    torch.testing.assert_close(loss(logits[:, :1], label), loss(logits[:, :1, :3], label[:, :3]))


def test_dice_is_not_pixel_accuracy() -> None:
    label = torch.zeros(1, 10, 10, dtype=torch.long)
    label[0, 0, 0] = 1
    nothing_found = sure_of(torch.zeros_like(label), 2)
    assert make_loss(dice={})(nothing_found, label).item() == pytest.approx(1, abs=1e-4)
    with_background = make_loss(dice={"background": True})(nothing_found, label)
    assert with_background.item() > 0.5  # the mean of two classes; a flattened one-hot would say 0.01


@pytest.mark.parametrize("smooth", [0.0, 1e-7, 1.0])
def test_a_smoothing_that_hides_small_objects_or_divides_by_zero_is_refused(smooth: float) -> None:
    with pytest.raises(ValueError, match="smooth"):
        LossConfig.model_validate({"dice": {"smooth": smooth}})


@pytest.mark.parametrize("name", EVERY_TERM)
def test_sums_of_more_ones_than_float16_can_count_are_right(name: str) -> None:
    logits = torch.zeros(1, 2, 256, 257, dtype=torch.float16, requires_grad=True)
    label = torch.ones(1, 256, 257, dtype=torch.long)
    loss = make_loss(**{name: {}})
    half = loss(logits, label)
    half.backward()
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(loss(logits.double(), label).item(), rel=1e-5)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", EVERY_TERM)
def test_under_bf16_autocast_the_loss_is_computed_in_float32(name: str) -> None:
    net = torch.nn.Conv2d(1, 2, 1)
    label = torch.zeros(1, 64, 64, dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(torch.randn(1, 1, 64, 64))
        loss = make_loss(**{name: {}})(logits, label)
    loss.backward()
    assert logits.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(make_loss(**{name: {}})(logits.double(), label).item(), rel=1e-5)
    assert net.weight.grad is not None
    assert net.weight.grad.isfinite().all()


def test_class_weights_move_focal_and_binary_cross_entropy_to_the_rare_class() -> None:
    logits, label = draw((2, 5, 7), 2)
    for head, name, x in (("softmax", "focal", logits), ("sigmoid", "bce", logits[:, :1])):
        only_foreground = torch.where(label == 1, 1, -1)
        weighted = make_loss(head, **{name: {}}, class_weights=(0.0, 1.0))(x, label)
        torch.testing.assert_close(weighted, make_loss(head, **{name: {}})(x, only_foreground))
