"""The weighted sum, its config, deep supervision, gates and class weights."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import multiprocessing
from torch.nn import functional as F

from ushape.core.config import parse_config, with_fields
from ushape.core.errors import ConfigError, ShapeError
from ushape.losses.balance import weigh_classes
from ushape.losses.compose import Loss, LossConfig
from ushape.losses.gates import gate_loss
from ushape.losses.target import Head

LABEL = torch.randint(-1, 3, (2, 16, 12), generator=torch.Generator().manual_seed(3))
SUMS = [("softmax", "ce", 0.5, 0.5), ("softmax", "focal", 0.5, 0.5), ("sigmoid", "bce", 0.7, 0.3)]


def read(text: str) -> LossConfig:
    return parse_config(LossConfig, tomllib.loads(text), "recipe.loss")


def test_the_default_is_cross_entropy_and_batch_dice_without_background() -> None:
    config = LossConfig()
    assert config.terms == {"ce": 1.0, "dice": 1.0}
    assert (config.dice.over, config.dice.background, config.dice.smooth) == ("batch", False, 1e-5)


def test_naming_a_term_replaces_the_default() -> None:
    assert read("bce = {weight = 0.5}\ndice = {weight = 0.5, smooth = 1e-6}").terms == {"bce": 0.5, "dice": 0.5}
    assert read("[levels]\nskip_lowest = true").terms == {"ce": 1.0, "dice": 1.0}


def test_a_config_survives_the_round_trip_and_single_fields_can_be_set() -> None:
    config = read("bce = {weight = 0.7}\ndice = {weight = 0.3}")
    assert LossConfig.model_validate_json(config.model_dump_json()) == config
    assert with_fields(LossConfig(), {"dice.weight": 0.5, "ce.weight": 0}).terms == {"dice": 0.5}


def test_what_cannot_be_used_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"recipe.loss: unknown field 'dise'; did you mean 'dice'"):
        read("dise = {weight = 1}")
    with pytest.raises(ConfigError, match=r"recipe.loss.dice: unknown field 'smoth'; did you mean 'smooth'"):
        read("dice = {smoth = 1e-6}")
    with pytest.raises(ConfigError, match="at least one term"):
        read("dice = {weight = 0}")
    with pytest.raises(ConfigError, match=r"name loss.bce instead"):
        Loss(LossConfig(), "sigmoid")
    with pytest.raises(ConfigError, match="expected 3 weights"):
        Loss(LossConfig(class_weights=(1.0, 2.0)))(torch.zeros(2, 3, 16, 12), LABEL)


@pytest.mark.parametrize(("head", "name", "first", "second"), SUMS)
def test_a_loss_is_the_weighted_sum_of_its_terms(head: Head, name: str, first: float, second: float) -> None:
    logits = torch.randn(2, 3 if head == "softmax" else 1, 16, 12)
    label = LABEL if head == "softmax" else LABEL.clamp(max=1)
    both = Loss(LossConfig.model_validate({name: {"weight": first}, "dice": {"weight": second}}), head)
    one, other = (Loss(LossConfig.model_validate({term: {}}), head) for term in (name, "dice"))
    torch.testing.assert_close(both(logits, label), first * one(logits, label) + second * other(logits, label))


def test_deep_supervision_compares_each_level_with_the_label_on_its_grid() -> None:
    levels = [torch.randn(2, 3, 16, 12), torch.randn(2, 3, 8, 6), torch.randn(2, 3, 4, 6)]
    coarse = [F.interpolate(LABEL[None].float(), x.shape[2:], mode="nearest-exact")[0].long() for x in levels]
    loss = Loss(LossConfig())
    want = sum(w * loss(x, label) for w, x, label in zip((4 / 7, 2 / 7, 1 / 7), levels, coarse, strict=True))
    torch.testing.assert_close(loss(levels, LABEL), want)


def test_a_multilabel_label_is_rescaled_per_class() -> None:
    truth = torch.rand(2, 3, 8, 8) < 0.5
    levels = [torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4)]
    loss = Loss(LossConfig.model_validate({"bce": {}}), "sigmoid")
    coarse = F.interpolate(truth.float(), (4, 4), mode="nearest-exact") > 0
    torch.testing.assert_close(loss(levels, truth), (2 * loss(levels[0], truth) + loss(levels[1], coarse)) / 3)


def test_a_perfect_prediction_at_every_level_costs_nothing() -> None:
    label = torch.zeros(1, 16, 16, dtype=torch.long)
    label[:, 4:12, 4:12] = 1
    levels = [F.one_hot(label[:, ::k, ::k], 2).movedim(-1, 1) * 60.0 for k in (1, 2, 4)]
    assert Loss(LossConfig())(levels, label).item() == pytest.approx(0, abs=1e-5)


def test_a_skipped_level_gets_a_gradient_of_zero_rather_than_none() -> None:
    levels = [torch.randn(2, 3, 16, 12, requires_grad=True), torch.randn(2, 3, 8, 6, requires_grad=True)]
    Loss(LossConfig.model_validate({"levels": {"skip_lowest": True}}))(levels, LABEL).backward()
    assert levels[0].grad is not None
    assert levels[0].grad.any()
    assert levels[1].grad is not None
    assert not levels[1].grad.any()


def test_gates_are_supervised_by_the_share_of_foreground_below_them() -> None:
    logits = torch.randn(2, 1, 4, 3, dtype=torch.float64)
    label = LABEL.clamp(min=0)
    share = (label > 0).double().reshape(2, 1, 4, 4, 3, 4).mean((3, 5))
    want = F.binary_cross_entropy_with_logits(logits, share)
    torch.testing.assert_close(gate_loss([logits], label), want)


def test_a_gate_loses_nothing_over_ignored_voxels() -> None:
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    label[:, :2] = -1
    logits = torch.tensor([[[[50.0, 50.0], [-50.0, -50.0]]]])
    assert gate_loss([logits], label).item() == 0
    assert gate_loss([logits], torch.full((1, 4, 4), -1)).item() == 0


def test_gates_read_multilabel_and_volumes_and_half_precision() -> None:
    truth = torch.rand(1, 2, 8, 8, 8) < 0.1
    loss = gate_loss([torch.zeros(1, 1, 4, 4, 4, dtype=torch.float16)], truth)
    assert loss.item() == pytest.approx(0.6931, abs=1e-4)


def test_the_gate_loss_is_added_with_its_weight_and_its_gradient_checks() -> None:
    logits, gates = torch.randn(2, 3, 16, 12), [torch.randn(2, 1, 8, 6, dtype=torch.float64, requires_grad=True)]
    plain, with_gates = Loss(LossConfig()), Loss(LossConfig.model_validate({"gates": {"weight": 0.3}}))
    extra = with_gates(logits, LABEL, gates) - plain(logits, LABEL, gates)
    torch.testing.assert_close(extra, 0.3 * gate_loss(gates, LABEL), check_dtype=False)
    assert torch.autograd.gradcheck(lambda x: gate_loss([x], LABEL), gates[0])
    with pytest.raises(ConfigError, match="attention gates"):
        with_gates(logits, LABEL)


def test_gates_of_unpadded_nets_cannot_be_supervised_since_they_see_another_part_of_the_label() -> None:
    loss = Loss(LossConfig.model_validate({"gates": {"weight": 0.3}}))
    with pytest.raises(ShapeError, match=r"loss\.gates: expected logits of the label's size \(16, 12\), got \(12, 8\)"):
        loss(torch.zeros(2, 3, 12, 8), LABEL, [torch.zeros(2, 1, 6, 4)])
    truth, bools = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8, dtype=torch.bool)
    multilabel = Loss(LossConfig.model_validate({"bce": {}, "gates": {"weight": 0.3}}), "sigmoid")
    assert multilabel(truth, bools, [torch.zeros(2, 1, 4, 4)]).isfinite()


def test_rare_classes_weigh_more_and_the_mean_weight_is_one() -> None:
    assert weigh_classes([3, 1], "inverse") == pytest.approx((0.5, 1.5))
    assert weigh_classes([0.9, 0.09, 0.01], "log")[2] == max(weigh_classes([0.9, 0.09, 0.01], "log"))
    assert sum(weigh_classes([900, 90, 10])) == pytest.approx(3)


def test_a_class_that_never_occurs_weighs_as_the_rarest() -> None:
    assert weigh_classes([900, 0, 100])[1] == weigh_classes([900, 0, 100])[2]


@pytest.mark.parametrize("bad", [[], [0, 0], [-1, 2]])
def test_frequencies_without_a_sum_are_refused(bad: list[int]) -> None:
    with pytest.raises(ConfigError, match="class frequencies"):
        weigh_classes(bad)


def half_batch_gradient(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    logits, label = two_images()
    loss = Loss(LossConfig.model_validate({"dice": {}}))(logits[rank : rank + 1], label[rank : rank + 1])
    loss.backward()
    torch.save((loss.detach(), logits.grad), f"{folder}/{rank}.pt")
    torch.distributed.barrier()  # or a process that ends first takes the other down
    torch.distributed.destroy_process_group()


def two_images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(3, (2, 6, 6), generator=generator)


@pytest.mark.slow
def test_two_processes_see_the_dice_of_the_whole_batch(tmp_path: Path) -> None:
    multiprocessing.spawn(half_batch_gradient, (str(tmp_path),), nprocs=2)
    logits, label = two_images()
    loss = Loss(LossConfig.model_validate({"dice": {}}))(logits, label)
    loss.backward()
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert logits.grad is not None
    for their_loss, _ in ranks:
        torch.testing.assert_close(their_loss, loss.detach())
    torch.testing.assert_close((ranks[0][1] + ranks[1][1]) / 2, logits.grad)
