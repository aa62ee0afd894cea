"""Claims that arithmetic decides: how many weights a network has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from ledger.claim import Claim, Finding, Record, compare
from torch import nn

from ushape.core.config import parse_config
from ushape.nets.blocks import BlockConfig, ConvBlock, ConvSpec
from ushape.nets.config import UNetConfig
from ushape.nets.cost import measure_cost
from ushape.nets.presets import preset
from ushape.nets.unet import UNet
from ushape.plan.recipe import parse_toml

MODULAR = Path(__file__).parents[2] / "recipes" / "tutorial-modular.toml"
LENET = {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48_120, "F6": 10_164}
"""LeCun et al. 1998, doi:10.1109/5.726791, sec. II.B: the numbers that the paper gives for each layer."""


def make_unset(config: UNetConfig) -> UNet:
    """Build a network whose weights take no memory."""
    with torch.device("meta"):
        return UNet(config)


def count(parts: Iterable[nn.Module]) -> int:
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def count_original(_: Record) -> Finding:
    found, claimed = count([make_unset(preset("unet-2015"))]), 31_031_554
    return Finding(f"{found:,}: {claimed - found} fewer", "holds" if found == claimed else "does not hold")


def count_halves(part: str, claimed: float) -> Claim:
    def measure(_: Record) -> Finding:
        net = make_unset(preset("unet-2015"))
        parts = {"encoder": [net.encoder], "decoder": [net.decoder, net.heads], "whole": [net]}
        found = count(parts[part]) / 1e6
        return Finding(f"{found:.2f} M", compare(claimed, found))

    words = {"encoder": "Its encoder, bottleneck included,", "decoder": "Its decoder", "whole": "Both together"}
    return Claim(f"{words[part]} {'have' if part == 'whole' else 'has'} {claimed:g} M weights", measure)


def count_double_conv(_: Record) -> Finding:
    counts = {}
    for bias in ("on", "off"):
        with torch.device("meta"):
            counts[bias] = count([ConvBlock(ConvSpec(1, 64, (3, 3), (1, 1)), BlockConfig(norm="batch", bias=bias))])
    verdict = "holds" if 75_008 in counts.values() else "does not hold"
    return Finding(f"{counts['on']:,} with the convolutions' biases, {counts['off']:,} without", verdict)


def net_of(recipe: Path) -> UNetConfig:
    """Read the network of a guide's recipe."""
    return parse_config(UNetConfig, parse_toml(recipe.read_text(encoding="utf-8"), recipe.name)["net"], recipe.name)


def count_modular(_: Record) -> Finding:
    found = count([make_unset(net_of(MODULAR))])
    return Finding(f"{found:,} (recipes/{MODULAR.name})", "holds" if found == 16_226_497 else "does not hold")


def list_modular(_: Record) -> Finding:
    net = make_unset(net_of(MODULAR))
    down, up = ([f"{count([part]):,}" for part in parts] for parts in (net.encoder.levels, reversed(net.decoder)))
    words = f"the first row is wrong, see above; rows that come to its stated total: levels down {', '.join(down)}"
    text = f"{words}; up, coarsest first, {', '.join(up)}; the last 1x1 convolution {count(net.heads)}"
    return Finding(f"{text}. The guide's other rows are not kept here", "cannot be measured here")


def count_lenet(_: Record) -> Finding:
    lenet, unet = sum(LENET.values()), count([make_unset(preset("unet-2015"))])
    return Finding(f"{unet:,} / {lenet:,} = {unet / lenet:.0f} times", compare(1000, unet / lenet, 0.1))


def run_mismatched(_: Record) -> Finding:
    """Try the up-convolution that the claim describes, and the halved bottleneck done right."""
    up = nn.ConvTranspose2d(1024, 512, 2, stride=2)
    try:
        up(torch.zeros(1, 512, 4, 4))
    except RuntimeError:
        right = UNet(UNetConfig(widths=(4, 8, 16, 16), up="linear", up_kernel=0))
        shape = tuple(right(torch.zeros(1, 1, 32, 32)).shape)
        return Finding(
            f"torch refuses it; ours reads the channels off the level below, and runs {shape}", "does not hold"
        )
    return Finding("it ran", "holds")


def weigh_gates(_: Record) -> Finding:
    """Compare gates on all, half and a quarter of a skip's channels in the guide's own network."""
    net = net_of(MODULAR.parent / "tutorial-attention-3d.toml")
    base = measure_cost(net.model_copy(update={"skip": "concat"}), (32, 32, 32))
    cells, most = [], 0.0
    for name, reduction in (("all", 1), ("half", 2), ("a quarter", 4)):
        gate = net.gate.model_copy(update={"reduction": reduction, "widths": ()})
        cost = measure_cost(net.model_copy(update={"gate": gate}), (32, 32, 32))
        extra = [getattr(cost, key) / getattr(base, key) - 1 for key in ("macs", "activation_bytes")]
        cells.append(f"{name}: {100 * extra[0]:+.1f} % work, {100 * extra[1]:+.1f} % memory")
        most = max(most, *extra)
    text = f"gates on {'; '.join(cells)} of a training step without gates (3D, widths 64 to 512)"
    return Finding(text, "does not hold" if most < 0.2 else "depends")


CLAIMS = (
    Claim("The original U-Net has 31,031,554 weights with one channel and two classes", count_original),
    count_halves("encoder", 31),
    count_halves("decoder", 24),
    count_halves("whole", 55),
    Claim("U-Net has nearly 1000 times the 60 K weights of LeNet", count_lenet),
    Claim("A double convolution from 1 to 64 channels with batch norm has 75,008 weights", count_double_conv),
    Claim("The U-Net built from such modules, with bilinear upsampling, has 16,226,497 weights", count_modular),
    Claim("The other rows of that guide's table of layers", list_modular),
    Claim(
        "An up-convolution of 1024 channels fits behind a bottleneck of 512, as in a guide's defaults", run_mismatched
    ),
    Claim("In 3D, attention gates need to work on a quarter of the channels", weigh_gates),
)
