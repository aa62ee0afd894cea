"""Claims on single layers, checked on the layers themselves."""

from __future__ import annotations

import io
import itertools
import logging
import math
import statistics
import warnings

import torch
from ledger.claim import Claim, Finding, Record
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.nets.join import UPS, UpSpec
from ushape.nets.unet import UNet

SMALL = UNetConfig(widths=(8, 16), block=BlockConfig(norm="batch", activation="relu"))
ROUNDING = 1e-5


def pool_sizes(_: Record) -> Finding:
    """Compare the sizes of both poolings over everything that both can be told."""
    tried = different = 0
    for kernel, stride, padding, ceil in itertools.product((2, 3, 4), (1, 2, 3), (0, 1), (False, True)):
        pools = [make(kernel, stride, padding, ceil_mode=ceil) for make in (nn.MaxPool2d, nn.AvgPool2d)]
        for size in range(kernel, 40):
            sizes = {pool(torch.zeros(1, 1, size, 7, device="meta")).shape for pool in pools}
            tried, different = tried + 1, different + (len(sizes) > 1)
    return Finding(
        f"{different} of {tried} combinations of size, kernel, stride, padding and rounding differ",
        "holds" if different else "does not hold",
    )


def align_features(_: Record) -> Finding:
    """Upsample the positions of coarse pixels, and see how far each fine pixel is from where it thinks it is."""
    errors = {}
    for corners in (True, False):
        found = []
        for size in (8, 32, 128):
            coarse = torch.arange(size)[None, None] * 2 + 0.5  # where 2x pooling put them
            fine = F.interpolate(coarse, scale_factor=2.0, mode="linear", align_corners=corners)[0, 0]
            found.append((fine - torch.arange(2.0 * size))[1:-1].abs().max().item())
        errors[corners] = max(found)
    seams = {corners: seam_of_windows(corners) for corners in (True, False)}
    text = (
        f"behind a pooling, features lie up to {errors[True]:.2f} pixels off with it, {errors[False]:.2f} without "
        f"(border pixels apart); an image and a window of it differ by {seams[True]:.2f} and {seams[False]:.2f}"
    )
    return Finding(text, "does not hold" if errors[True] > errors[False] + ROUNDING else "holds")


def seam_of_windows(corners: bool) -> float:
    """Return the largest difference between upsampling an image, and upsampling a window of it (its rim left out)."""
    whole = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(0))
    once, window = (
        F.interpolate(each, scale_factor=2.0, mode="linear", align_corners=corners)
        for each in (whole, whole[..., 8:24])
    )
    return (once[..., 18:46] - window[..., 2:30]).abs().max().item()


def pattern(up: nn.Module) -> float:
    """Return how much of the answer to a flat input is a pattern: its deviation over 2 x 2 pixels, over its size."""
    with torch.no_grad():
        flat = up(torch.ones(1, 32, 8, 8))[..., 2:-2, 2:-2]
    phases = flat.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2)
    return (phases.std(dim=-1, unbiased=False).mean() / flat.square().mean().sqrt()).item()


def show_checkerboards(_: Record) -> Finding:
    found: dict[str, list[float]] = {}
    for seed in range(10):
        torch.manual_seed(seed)
        layers = {name: UPS[name](UpSpec(32, 32, (2, 2))) for name in ("transpose", "linear", "nearest")}
        layers["transposed with a kernel of 3"] = nn.ConvTranspose2d(32, 32, 3, stride=2, padding=1, output_padding=1)
        for name, layer in layers.items():
            found.setdefault(name, []).append(pattern(layer))
    means = {name: statistics.mean(each) for name, each in found.items()}
    text = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    worst = max(means["linear"], means["nearest"])
    return Finding(
        f"share of a pattern in the answer to a flat image, untrained, ten seeds: {text}; training can unlearn it",
        "holds" if means["transpose"] > 0.1 > worst + ROUNDING else "does not hold",
    )


def compare_shuffle(_: Record) -> Finding:
    """Give a transposed convolution the weights of a pixel shuffle's 1x1 convolution."""
    torch.manual_seed(0)
    shuffle, transposed = UPS["shuffle"](UpSpec(32, 16, (2, 2))), UPS["transpose"](UpSpec(32, 16, (2, 2)))
    weight: Tensor = shuffle.conv.weight.detach()  # type: ignore[assignment]
    transposed[0].weight.data = weight.reshape(16, 2, 2, 32).permute(3, 0, 1, 2).contiguous()
    for layer in (shuffle.conv, transposed[0]):
        nn.init.zeros_(layer.bias)
    image = torch.randn(1, 32, 8, 8)
    with torch.no_grad():
        apart = (shuffle(image) - transposed(image)).abs().max().item()
    text = (
        "a transposed convolution whose kernel is its stride is the same map: with its weights, outputs differ by "
        f"less than {ten_above(apart):g}"
    )
    return Finding(
        f"{text}, and the same pattern ({pattern(shuffle):.2f}) at the start",
        "does not hold" if apart < ROUNDING else "depends",
    )


def move_bias(_: Record) -> Finding:
    """Give a network's dead biases large values, and look at its output and at their gradients."""
    torch.manual_seed(0)
    net = UNet(SMALL.model_copy(update={"block": BlockConfig(norm="batch", activation="relu", bias="on")}))
    image = torch.randn(2, 1, 32, 32)
    biases = [unit.conv.bias for unit in net.modules() if hasattr(unit, "conv") and hasattr(unit, "norm")]
    before = net(image)
    before.square().mean().backward()
    weights = max(each.grad.abs().max().item() for each in net.parameters() if each.ndim > 1 and each.grad is not None)
    largest = max(bias.grad.abs().max().item() for bias in biases) / weights
    with torch.no_grad():
        for bias in biases:
            bias.add_(3 * torch.randn_like(bias))
        apart = ((net(image) - before).abs().max() / before.abs().max()).item()
    alike = largest < ROUNDING * 10 and apart < 1e-3
    return Finding(
        f"in training, other biases change the output by less than {ten_above(apart):g} of it, and their gradients are "
        f"below {ten_above(largest):g} of the weights': norm subtracts them",
        "does not hold" if alike else "holds",
    )


def ten_above(number: float) -> float:
    """Return the power of ten above a number, so that rounding on another machine changes no text."""
    return 10.0 ** math.ceil(math.log10(max(number, 1e-12)))


def quantize(_: Record) -> tuple[int, float, float]:
    """Quantise a network dynamically, and return what changed: modules, bytes of the weights, output."""
    torch.manual_seed(0)
    net, image = UNet(SMALL).eval(), torch.randn(1, 1, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates this function
        small = torch.ao.quantization.quantize_dynamic(net, {nn.Linear, nn.Conv2d}, dtype=torch.qint8)
    changed = sum(type(a) is not type(b) for a, b in zip(net.modules(), small.modules(), strict=True))
    with torch.no_grad():
        apart = (net(image) - small(image)).abs().max().item()
    return changed, file_bytes(net) / file_bytes(small), apart


def file_bytes(net: nn.Module) -> int:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.getbuffer().nbytes


def quantized_size(_: Record) -> Finding:
    changed, ratio, _apart = quantize({})
    return Finding(
        f"{ratio:.2f} times smaller: {changed} layers were changed, it knows no convolutions",
        "holds" if ratio > 2 else "does not hold",
    )


def quantized_speed(_: Record) -> Finding:
    changed, _ratio, _apart = quantize({})
    return Finding(
        f"{changed} layers were changed: the same computations. Static INT8: `ushape export --precision int8`",
        "cannot be measured here" if changed else "does not hold",
    )


def quantized_dice(_: Record) -> Finding:
    _changed, _ratio, apart = quantize({})
    return Finding(
        f"outputs {apart:g} apart: nothing is lost, as nothing is gained", "holds" if apart else "does not hold"
    )


def export_opset(_: Record) -> Finding:
    """Ask torch for opset 11, and read what the graph says."""
    net = UNet(UNetConfig(widths=(2, 2), block=BlockConfig(norm="none"))).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)  # it logs the whole story of why it does not write 11
        program = torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), dynamo=True, opset_version=11, verbose=False)
    logging.disable(logging.NOTSET)
    opset = {each.domain: each.version for each in program.model_proto.opset_import}[""]
    return Finding(
        f"the exporter of torch writes opset {opset} when asked for 11", "holds" if opset == 11 else "does not hold"
    )


CLAIMS = (
    Claim("Max and average pooling may give different sizes", pool_sizes),
    Claim("`align_corners=True` aligns features exactly", align_features),
    Claim("Transposed convolutions make checkerboards", show_checkerboards),
    Claim("Pixel shuffle is the compromise between them and interpolation", compare_shuffle),
    Claim("A bias before batch norm changes what is learnt", move_bias),
    Claim("`quantize_dynamic` makes a U-Net 4 times smaller", quantized_size),
    Claim("`quantize_dynamic` makes a U-Net 2.3 times faster", quantized_speed),
    Claim("`quantize_dynamic` costs a U-Net 0.8 % of Dice", quantized_dice),
    Claim("Models are exported to ONNX with opset 11", export_opset),
)
