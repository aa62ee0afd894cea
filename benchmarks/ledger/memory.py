"""Claims on memory: counted tensor by tensor, so that neither the machine nor its load matters.

Counted is what a training step keeps from the forward to the backward pass, and 16 bytes per weight: itself, its
gradient, and Adam's two averages.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from ledger.claim import Claim, Finding, Record, Verdict, compare
from ledger.counting import count, make_unset
from torch import nn

from ushape.core.config import with_fields
from ushape.nets.config import UNetConfig
from ushape.nets.cost import count_activations, measure_cost
from ushape.nets.presets import preset
from ushape.nets.unet import UNet

SIZE = (256, 256)
BYTES_PER_WEIGHT = 16
MIB = 2**20


def keep_bytes(config: UNetConfig, *, batch: int = 1, in_place: bool = True) -> int:
    """Count what a step keeps for its backward pass."""
    with torch.device("meta"):
        net, image = UNet(config), torch.zeros(batch, config.in_channels, *SIZE)
        for module in net.modules():
            if hasattr(module, "inplace"):
                module.inplace = in_place
        return count_activations(net, image)


def weigh_in_place(_: Record) -> Finding:
    saved = {}
    for activation in ("relu", "leaky_relu"):
        config = with_fields(preset("unet-bn"), {"block.activation": activation})
        saved[activation] = 1 - keep_bytes(config) / keep_bytes(config, in_place=False)
    words = f"ReLU saves {percent(saved['relu'])} of what a step keeps, leaky ReLU {percent(saved['leaky_relu'])}"
    why = "torch keeps a ReLU's result, which the next convolution needs anyway, but a leaky ReLU's input"
    verdict: Verdict = "holds" if saved["relu"] > 0.1 else "depends" if saved["leaky_relu"] > 0.1 else "does not hold"
    return Finding(f"{words} (unet-bn): {why}", verdict)


def upsampling_claim(words: str, up: str, claimed: float) -> Claim:
    """Claim what share of the memory of a step with transposed convolutions one with this upsampling takes."""

    def measure(_: Record) -> Finding:
        total = {}
        for name in ("transpose", up):
            config = with_fields(preset("unet-bn"), {"up": name})
            total[name] = keep_bytes(config) + weight_bytes(config)
        share = total[up] / total["transpose"]
        text = (
            f"{total[up] / MIB:.0f} MiB for {total['transpose'] / MIB:.0f} (unet-bn, 256 x 256, batch 1): {share:.2f}"
        )
        exact = compare(claimed, share)
        verdict: Verdict = exact if exact == "holds" or share >= 1 else "depends"
        return Finding(f"{text}; larger images and batches bring the two together", verdict)

    return Claim(words, measure)


def weight_bytes(config: UNetConfig) -> int:
    return BYTES_PER_WEIGHT * count([make_unset(config)])


def weigh_precision(_: Record) -> Finding:
    """Count a step under autocast, with real tensors: torch chooses the precision of every operation by itself."""
    net, image = UNet(UNetConfig(widths=(8, 16, 32), block=preset("unet-bn").block)), torch.zeros(1, 1, 96, 96)
    full = count_activations(net, image)
    with torch.autocast("cpu", torch.bfloat16):
        saved = 1 - count_activations(net, image) / full
    kept, fixed = keep_bytes(preset("unet-bn")), weight_bytes(preset("unet-bn"))
    whole = {batch: saved * kept * batch / (kept * batch + fixed) for batch in (1, 8, 32)}
    cells = ", ".join(f"{percent(each)} at batch {batch}" for batch, each in whole.items())
    text = f"{percent(saved)} of what a step keeps (bf16 autocast), but weights, gradients and Adam stay float32"
    return Finding(f"{text}: of the whole step {cells} (unet-bn, 256 x 256)", judge_range(whole.values(), 0.48, 0.52))


def judge_range(found: Iterable[float], low: float, high: float) -> Verdict:
    """Let a claimed range hold if all lie in it, and depend if some do, or some lie below and some above."""
    numbers = list(found)
    if all(low <= each <= high for each in numbers):
        return "holds"
    return "depends" if min(numbers) <= high and max(numbers) >= low - 0.05 else "does not hold"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def weigh_card(_: Record) -> Finding:
    return Finding(
        "the network it was seen with is not named; 12 to 7 GB is 42 % less, for which see the row on 50 %",
        "cannot be measured here",
    )


def weigh_checkpointing(_: Record) -> Finding:
    cells, saved = [], []
    for name, size in (("unet-bn", 256), ("attention-3d", 64), ("nnunet-3d", 64)):
        config = preset(name)
        full, less = (
            measure_cost(config.model_copy(update={"checkpointing": on}), (size,) * config.ndim).activation_bytes
            for on in (False, True)
        )
        saved += [1 - less / full, (full - less) / (full + weight_bytes(config))]
        cells.append(f"{name} {percent(saved[-2])} of what a step keeps, {percent(saved[-1])} with the weights")
    return Finding(f"at batch 1: {'; '.join(cells)}. Every block is computed twice", judge_range(saved, 0.3, 0.4))


def weigh_formula(_: Record) -> Finding:
    """Hold size^3 x channels x kernels x 4 x 2 against the bytes of a layer's input and output."""
    cells, verdicts = [], []
    for channels in (1, 64):
        conv = nn.Conv3d(channels, 64, 3, padding=1, device="meta")
        image = torch.zeros(1, channels, 128, 128, 128, device="meta")
        real, claimed = image.nbytes + conv(image).nbytes, 128**3 * channels * 64 * 4 * 2
        cells.append(f"{channels} to 64 channels: formula {claimed / 1e9:.2f} GB, input and output {real / 1e9:.2f} GB")
        verdicts.append(compare(claimed, real, 0.1))
    text = f"at 128^3, {'; '.join(cells)}: the channels add up, they do not multiply"
    return Finding(text, "holds" if set(verdicts) == {"holds"} else "does not hold")


def weigh_batch(_: Record) -> Finding:
    config = preset("unet-bn")
    kept = [keep_bytes(config, batch=batch) for batch in (1, 2, 4, 8)]
    fixed = weight_bytes(config)
    linear = all(abs(each / kept[0] - batch) < 0.01 * batch for batch, each in zip((1, 2, 4, 8), kept, strict=True))
    whole = 1 - (kept[2] + fixed) / (kept[3] + fixed)
    text = f"what is kept does ({kept[0] / MIB:.0f} MiB an image); {fixed / MIB:.0f} MiB for the weights stay"
    verdict: Verdict = "does not hold" if not linear else "holds" if whole > 0.49 else "depends"
    return Finding(f"{text}: half a batch of 8 saves {percent(whole)} (unet-bn, 256 x 256)", verdict)


CLAIMS = (
    Claim("In-place ReLU saves 15 % of the memory", weigh_in_place),
    upsampling_claim("Bilinear upsampling takes 1321 MB where transposed takes 1456 (0.91)", "linear", 1321 / 1456),
    upsampling_claim("Nearest upsampling takes 1308 MB where transposed takes 1456 (0.90)", "nearest", 1308 / 1456),
    Claim("Checkpointing saves 30 to 40 % of the memory", weigh_checkpointing),
    Claim("Mixed precision takes a training from 12 to 7 GB", weigh_card),
    Claim("Mixed precision saves 50 % of the memory", weigh_precision),
    Claim("Memory is size^3 x channels x kernels x 4 bytes x 2", weigh_formula),
    Claim("Memory falls linearly with the batch", weigh_batch),
)
