"""The peak of memory is worked out on tensors without values: it is that of the same step with real ones."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ushape.core.layout import lay_out_images
from ushape.nets.blocks import BlockConfig
from ushape.nets.memory import (
    MAPPED,
    WORKSPACES,
    Numerics,
    Upkeep,
    Watcher,
    cheapest_loss,
    count_bytes,
    prediction_peak,
    step_peak,
)
from ushape.nets.presets import preset
from ushape.nets.unet import UNet, UNetConfig

SIZES = {2: (48, 40), 3: (16, 24, 16)}


def cross_entropy(net: UNet, image: Tensor) -> Tensor:
    logits = net(image)
    levels = logits if isinstance(logits, list) else [logits]
    label = torch.zeros(len(image), *levels[0].shape[2:], dtype=torch.long)
    return F.cross_entropy(levels[0].float(), label) + sum(level.float().mean() for level in levels[1:])


def measure_live(config: UNetConfig, shape: tuple[int, ...], numerics: Numerics) -> int:
    """Take a step with values, in the order in which lightning takes it; return the most bytes that lived."""
    with Watcher(WORKSPACES) as watcher:
        net, image = UNet(config).train(), torch.randn(shape)
        image = lay_out_images(image, channels_last=numerics.channels_last)
        optimizer = torch.optim.AdamW(net.parameters())
        state = [torch.zeros_like(weight) for weight in net.parameters() for _ in range(2)]
        for weight in net.parameters():
            weight.grad = torch.zeros_like(weight)
        with torch.autocast("cpu", numerics.autocast, enabled=numerics.autocast is not None):
            loss = cross_entropy(net, image)
        optimizer.zero_grad()
        loss.backward()
        watcher.note([max(map(count_bytes, net.parameters()))] * 2)
        del state
    return watcher.tensors


CASES = {
    "attention-3d": Numerics(),
    "nnunet-2d": Numerics(),
    "cbam": Numerics(channels_last=True),
    "unet-bn-bilinear": Numerics(autocast=torch.bfloat16, channels_last=True),
    "self-attention": Numerics(autocast=torch.bfloat16),
}


@pytest.mark.parametrize(("name", "numerics"), CASES.items(), ids=CASES)
def test_a_step_on_tensors_without_values_takes_what_a_real_one_does(name: str, numerics: Numerics) -> None:
    config = preset(name)
    config = config.model_copy(update={"widths": tuple(max(width // 8, 2) for width in config.widths)})
    shape = (2, 1, *SIZES[config.ndim])
    live = measure_live(config, shape, numerics)
    worked_out = step_peak(config, shape, cross_entropy, numerics, Upkeep()).tensors
    assert worked_out == pytest.approx(live, rel=0.02)


PLAIN = UNetConfig(widths=(4, 8), block=BlockConfig(norm="none", convs=1, activation="relu"), down="average")


def test_the_peak_of_a_small_prediction_is_what_arithmetic_gives() -> None:
    """It is in the last block: its input and output live, the levels of the encoder, and a copy of its weights."""
    weights = sum(weight.numel() for weight in UNet(PLAIN).parameters())
    image, first, second, up, joined, last = (times * 64 * 64 for times in (1, 4, 8 / 4, 4, 8, 4))
    taken = prediction_peak(PLAIN, (1, 1, 64, 64), UNet.forward, Numerics(channels_last=True)).tensors
    assert taken == 4 * (weights + image + first + second + up + joined + last + 4 * 8 * 9)


def test_convolutions_of_plain_layout_copy_their_tensors() -> None:
    usual, last = (
        step_peak(PLAIN, (1, 1, 64, 64), cheapest_loss, Numerics(channels_last=last), Upkeep()).tensors
        for last in (False, True)
    )
    assert usual >= last + 4 * (8 + 4) * 64 * 64  # of the join's result and its block's


def test_the_heap_keeps_what_is_freed_and_large_blocks_do_not() -> None:
    with Watcher({}) as watcher:
        small = torch.empty(MAPPED // 2, dtype=torch.uint8)
        del small
        large = torch.empty(MAPPED, dtype=torch.uint8)
        del large
        last = torch.empty(MAPPED // 4, dtype=torch.uint8)
        del last
    assert (watcher.tensors, watcher.heap, watcher.resident) == (MAPPED, MAPPED // 2, MAPPED + MAPPED // 2)


def test_what_is_kept_beside_the_network_counts() -> None:
    weights = sum(weight.numel() for weight in UNet(PLAIN).parameters())

    def take(upkeep: Upkeep) -> int:
        return step_peak(PLAIN, (1, 1, 64, 64), cheapest_loss, Numerics(), upkeep).tensors

    assert take(Upkeep(copies=3)) - take(Upkeep(copies=1)) == 2 * 4 * weights
    assert take(Upkeep(accumulates=True)) > take(Upkeep())


def test_checkpointing_takes_less() -> None:
    config = preset("nnunet-3d").model_copy(update={"widths": (4, 8, 8, 8, 8, 8)})
    usual = (Numerics("cuda"), Upkeep())  # no workspaces, as large as the tensors of such a small net
    kept, again = (
        step_peak(config.model_copy(update={"checkpointing": on}), (1, 1, 32, 32, 32), cheapest_loss, *usual).tensors
        for on in (False, True)
    )
    assert again < 0.7 * kept


def test_a_frozen_encoder_needs_no_gradients() -> None:
    config = preset("vgg16").model_copy(update={"widths": (64, 128, 256)})
    frozen = config.model_copy(update={"freeze_encoder": True})
    encoder = sum(weight.numel() for weight in UNet(config).encoder.parameters())
    taken = [step_peak(each, (1, 1, 32, 32), cheapest_loss, Numerics(), Upkeep()).tensors for each in (config, frozen)]
    assert taken[0] - taken[1] > 3 * 4 * encoder
