"""Gates that were planted are named for what they do, and maps lie where the image does."""

import numpy as np
import pytest
import torch
from tests.explain.planted import bright_net, cube

from ushape.explain.attention_maps import (
    VERDICTS,
    GateEngine,
    GateJudgement,
    average_blocks,
    correlate,
    find_border,
    judge_map,
    tell_judgement,
    tell_verdict,
)
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("gate", "verdict"), [(0.0, "uniform"), (8.0, "follows"), (-8.0, "inverted")])
def test_a_planted_gate_gets_its_verdict(ndim: int, gate: float, verdict: str) -> None:
    image = cube(ndim, 17, low=4, high=11)
    engine = GateEngine(bright_net(ndim, gate=gate))
    assert engine.gates == {"decoder.0.join.gate": 0}
    background, found = engine(image[None, None])[0]
    assert not background.any()
    judged = judge_map(found, image > 0)
    assert judged.verdict == verdict
    assert np.sign(round(judged.contrast, 6)) == np.sign(gate)
    if gate:
        middle = (7,) * ndim
        assert found[middle] == pytest.approx(1 / (1 + np.exp(-gate / 2)), abs=1e-3)


def test_a_gate_that_was_never_trained_is_uniform() -> None:
    torch.manual_seed(0)
    net = UNet(UNetConfig(widths=(4, 8, 16), skip="gate"))
    maps = GateEngine(net)(np.random.default_rng(0).normal(size=(1, 1, 21, 30)).astype(np.float32))[0, 1:]
    assert maps.shape == (2, 21, 30)
    assert {judge_map(one, cube(2, 30)[:21] > 0, (2, 2)).verdict for one in maps} == {"uniform"}


def test_a_map_of_the_outline_is_told_from_one_of_the_area() -> None:
    region = cube(2) > 0
    outline = find_border(region.astype(float))
    assert judge_map(0.1 + 0.8 * outline, region).verdict == "border"
    noise = np.random.default_rng(0).uniform(0, 1, region.shape)
    assert judge_map(noise, region).verdict == "undecided"
    assert judge_map(noise, np.zeros_like(region)).verdict == "alone"


def test_a_gate_that_follows_the_border_as_much_as_the_area_is_told_so() -> None:
    measured = {"spread": 0.5, "inside": 0.6, "outside": 0.4, "entropy": 1.0, "verdict": "follows"}
    told = [
        tell_judgement(GateJudgement(correlation=0.4, border=one, **measured), predicted=False)[0] for one in (0.3, 0.5)
    ]
    assert told == [
        "follows the foreground",
        "follows the foreground (its border as much: correlation 0.50 with that, 0.40 with the area)",
    ]


def test_a_coarse_gate_is_judged_on_its_own_grid() -> None:
    region = np.zeros((16, 16), dtype=bool)
    region[5:11, 5:11] = True
    blocks = np.kron(average_blocks(region.astype(float), (4, 4)), np.ones((4, 4)))
    assert correlate(blocks, region.astype(float)) < 0.9
    assert judge_map(blocks, region, (4, 4)).correlation == pytest.approx(1)


def test_measures_are_those_of_a_worked_example() -> None:
    judged = judge_map(np.array([[0.2, 0.2, 0.8, 0.8]]), np.array([[False, False, True, True]]))
    assert (judged.inside, judged.outside) == (pytest.approx(0.8), pytest.approx(0.2))
    assert judged.correlation == pytest.approx(1)
    shares = np.array([0.1, 0.1, 0.4, 0.4])
    assert judged.entropy == pytest.approx(-(shares * np.log(shares)).sum() / np.log(4))


def test_unpadded_networks_show_the_part_that_they_predict() -> None:
    torch.manual_seed(0)
    block = {"padding": "valid", "norm": "none"}
    net = UNet(UNetConfig(widths=(4, 8), skip="gate", align="crop", block=block))  # type: ignore[arg-type]
    inner = net(torch.zeros(1, 1, 44, 44)).shape[2:]
    margin = tuple((44 - size) // 2 for size in inner)
    assert GateEngine(net, margin)(np.zeros((2, 1, 44, 44), dtype=np.float32)).shape == (2, 2, *inner)


def test_every_verdict_says_what_to_do_and_what_the_map_was_held_against() -> None:
    for verdict in VERDICTS:
        says, remedy = tell_verdict(verdict, predicted=True)
        assert says
        assert remedy
        assert "{" not in says
    assert tell_verdict("inverted", predicted=False)[0] == (
        "inverted: the gate lets pass what is not the foreground, which need not be a fault"
    )
