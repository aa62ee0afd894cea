"""Distillation: its terms vanish where nothing is left to learn, and the teacher is neither trained nor kept."""

import copy

import pytest
import torch
from torch import nn

from ushape.deploy.distil import DistillationLoss, Lesson, attention_map, compare_logits, compare_maps
from ushape.losses.compose import Loss, LossConfig
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet


def make_nets() -> tuple[UNet, UNet]:
    torch.manual_seed(0)
    return UNet(UNetConfig(widths=(4, 6, 8), deep_supervision=True)), UNet(UNetConfig(widths=(8, 12, 16, 20)))


def run(net: nn.Module, loss: DistillationLoss, image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    with loss.lesson.watch(net) as gates:
        logits = net(image)
    return loss(logits, label, list(gates.values()))


@pytest.mark.parametrize("softmax", [True, False])
def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn(softmax: bool) -> None:
    logits = torch.randn(2, 3, 5, 7)
    assert compare_logits(logits, [logits], softmax=softmax).abs() < 1e-6
    assert compare_logits(logits + torch.randn_like(logits), [logits], softmax=softmax) > 0.01
    smaller = logits[:, :, 1:-1, 2:-2]
    assert compare_logits(logits, [smaller], softmax=softmax).abs() < 1e-6


def test_the_divergence_is_that_of_the_softened_probabilities() -> None:
    own, theirs = torch.tensor([[[0.0], [0.0]]]), torch.tensor([[[2.0], [-2.0]]])
    soft = torch.tensor([2.0 / 2, -2.0 / 2]).softmax(0)
    want = 4 * (soft * (soft / 0.5).log()).sum()
    assert torch.allclose(compare_logits(own, [theirs], softmax=True), want)


def test_maps_compare_where_nets_are_active_not_how_much_or_in_how_many_channels() -> None:
    one = torch.rand(2, 4, 6, 5)
    many = torch.cat([one, one], dim=1) * 3
    assert compare_maps({"0": one}, {"0": many, "1": many}) < 1e-8
    assert attention_map(one).shape == (2, 1, 6, 5)
    assert compare_maps({"0": one}, {"0": one.flip(2)}) > 1e-3


def test_only_the_student_gets_gradients_and_no_teacher_is_kept() -> None:
    student, teacher = make_nets()
    loss = DistillationLoss(Loss(LossConfig()), Lesson([teacher]))
    image, label = torch.randn(2, 1, 24, 20), torch.randint(0, 2, (2, 24, 20))
    run(student.train(), loss, image, label).backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    assert copy.deepcopy(loss).lesson.teachers[0] is teacher


def test_a_student_comes_closer_to_its_teacher_where_labels_say_nothing() -> None:
    student, teacher = make_nets()
    for head in teacher.heads:
        head.weight.data *= 8
    loss = DistillationLoss(Loss(LossConfig()), Lesson([teacher]))
    image, ignored = torch.randn(2, 1, 24, 24), torch.full((2, 24, 24), -1)
    optimizer = torch.optim.Adam(student.parameters(), 0.01)
    values = []
    for _ in range(25):
        value = run(student.train(), loss, image, ignored)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.6 * values[0]
