"""Faults that keep a network from learning are planted, found, and named."""

import pytest
import torch
from torch import Tensor, nn

from ushape.explain.gradients import FAULTS, GradientFlow, Step, probe_gradients
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(widths=(4, 8), block={"activation": "relu"}, up="transpose"))  # type: ignore[arg-type]


def probe(net: nn.Module, *, rate: float = 1e-2, optimizer: str = "sgd", clip: float = 0.0) -> GradientFlow:
    image = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    target = (image[:, 0] > 0).long()

    def measure() -> Tensor:
        loss: Tensor = nn.functional.cross_entropy(net(image), target)
        return loss

    return probe_gradients(net, measure, Step(optimizer, rate, clip))


def faults(flow: GradientFlow) -> dict[str, str]:
    return {layer.layer: layer.fault for layer in flow.layers if layer.fault}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_sound_network_has_no_fault_and_stays_as_it_is(net: UNet, optimizer: str) -> None:
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    flow = probe(net, optimizer=optimizer, rate=1e-3)
    assert faults(flow) == {}
    assert all(layer.norm > 0 and 0 < layer.step < 0.1 for layer in flow.layers)
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


def test_every_trained_weight_is_looked_at(net: UNet) -> None:
    layers = [layer.layer for layer in probe(net).layers]
    assert layers == [*dict.fromkeys(layers)]
    assert all(any(name.startswith(f"{layer}.") for layer in layers) for name, _ in net.named_parameters())


def test_a_detached_branch_is_named(net: UNet) -> None:
    net.encoder.levels[1].register_forward_hook(lambda _, __, output: output.detach())
    assert faults(probe(net)) == {"encoder.levels.1.0.0": "missing", "encoder.levels.1.0.1": "missing"}


def test_a_layer_of_zeros_is_named_and_so_is_what_it_keeps_from_learning(net: UNet) -> None:
    up = net.decoder[0].up[0]
    nn.init.zeros_(up.weight)
    named = faults(probe(net))
    assert named["decoder.0.up.0"] == "zero weights"
    assert named["encoder.levels.1.0.1"] == named["encoder.levels.1.0.0"] == "zero"
    assert set(named) == {"decoder.0.up.0", "encoder.levels.1.0.0", "encoder.levels.1.0.1"}


def test_a_rate_that_explodes_is_named(net: UNet) -> None:
    assert set(faults(probe(net, rate=1e4)).values()) == {"exploding"}
    assert set(faults(probe(net, rate=10.0, optimizer="adamw")).values()) == {"exploding"}


def test_clipping_shortens_the_step_of_sgd_and_not_of_adam(net: UNet) -> None:
    for optimizer, share in (("sgd", 0.001), ("adamw", 1.0)):
        free, clipped = (probe(net, optimizer=optimizer, clip=clip) for clip in (0.0, 1e-3))
        total = sum(layer.norm**2 for layer in free.layers) ** 0.5
        ratio = clipped.layers[0].step / free.layers[0].step
        assert ratio == pytest.approx(share / total if share < 1 else 1.0, rel=1e-4)


def test_gradients_that_are_no_numbers_are_named(net: UNet) -> None:
    with torch.no_grad():
        net.heads[0].weight[0, 0] = torch.inf
    assert "not finite" in faults(probe(net)).values()


def test_dead_relus_are_counted(net: UNet) -> None:
    unit = net.encoder.levels[0][0][0]
    unit.norm = nn.Identity()
    with torch.no_grad():
        unit.conv.bias = nn.Parameter(torch.tensor([0.0, -1e3, 0.0, -1e3]))
    (dead,) = [each for each in probe(net).dead if each.layer == "encoder.levels.0.0.0.activation"]
    assert (dead.dead, dead.channels, dead.fault) == (2, 4, "dead")


def test_every_fault_says_what_to_do() -> None:
    assert all(meaning and remedy for meaning, remedy in FAULTS.values())
