"""The layer table against arithmetic, and against what gradients reach."""

import math
import subprocess
import sys

import pytest
import torch

from ushape.core.errors import ShapeError
from ushape.nets import shapes
from ushape.nets.blocks import BlockConfig
from ushape.nets.cost import measure_cost
from ushape.nets.presets import preset
from ushape.nets.unet import UNet, UNetConfig

PLAIN = UNetConfig(widths=(4, 6, 8), block=BlockConfig(norm="none", activation="relu"), down="average")


def test_the_table_of_a_small_network_is_what_arithmetic_gives() -> None:
    config = UNetConfig(widths=(4, 8), block=BlockConfig(norm="batch", convs=1))
    rows = measure_cost(config, (16, 12)).rows
    assert [(row.stage, row.operation, row.shape, row.parameters, row.macs) for row in rows] == [
        ("encoder.levels.0.0.0", "conv 3x3, batch norm, leaky ReLU", (1, 4, 16, 12), 36 + 8, 36 * 192),
        ("encoder.downs.0", "max pool 2x2", (1, 4, 8, 6), 0, 0),
        ("encoder.levels.1.0.0", "conv 3x3, batch norm, leaky ReLU", (1, 8, 8, 6), 288 + 16, 288 * 48),
        ("decoder.0.up.0", "transposed conv 2x2 /2x2", (1, 4, 16, 12), 128 + 4, 128 * 48),
        ("decoder.0.join", "concatenate skip", (1, 8, 16, 12), 0, 0),
        ("decoder.0.block.0.0", "conv 3x3, batch norm, leaky ReLU", (1, 4, 16, 12), 288 + 8, 288 * 192),
        ("heads.0", "conv 1x1", (1, 2, 16, 12), 8 + 2, 8 * 192),
    ]


@pytest.mark.parametrize(
    "name", ["attention-3d", "resenc-m", "cbam", "transunet", "pyramid", "fusion", "self-attention"]
)
def test_every_parameter_is_in_one_row(name: str) -> None:
    config = preset(name)
    with torch.device("meta"):
        whole = sum(parameter.numel() for parameter in UNet(config).parameters())
    cost = measure_cost(config, (64,) * config.ndim)
    assert cost.parameters == cost.trainable == whole
    assert cost.macs > 0


def test_frozen_parameters_are_not_trainable() -> None:
    cost = measure_cost(preset("vgg16").model_copy(update={"freeze_encoder": True}), (64, 64))
    encoder = sum(row.parameters for row in cost.rows if row.stage.startswith("encoder"))
    assert cost.parameters - cost.trainable == encoder


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"up": "linear"},
        {"up": "nearest", "up_kernel": 3},
        {"up": "shuffle"},
        {"down": "stride"},
        {"strides": ((1, 1), (3, 1), (2, 2))},
        {"kernels": ((3, 1), (5, 3), (3, 3))},
    ],
    ids=str,
)
def test_the_receptive_field_is_what_gradients_reach(changes: dict[str, object]) -> None:
    config = PLAIN.model_copy(update=changes)
    net, size = UNet(config), 84
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    logits = net.double()(image)
    reached = [0, 0]
    for row, col in ((r, c) for r in range(40, 46) for c in range(40, 46)):
        (gradient,) = torch.autograd.grad(logits[0, 0, row, col], image, retain_graph=True)
        seen = gradient[0, 0].nonzero()
        reached = [max(a, int(b)) for a, b in zip(reached, seen.max(0).values - seen.min(0).values + 1, strict=True)]
    predicted = measure_cost(config, (size, size)).receptive_field
    assert tuple(reached) == predicted


def test_the_original_encoder_sees_140_pixels_at_its_end() -> None:
    rows = {row.stage: row for row in measure_cost(preset("unet-2015"), (572, 572)).rows}
    assert rows["encoder.levels.4.0.1"].receptive_field == (140, 140)
    assert rows["heads.0"].shape == (1, 2, 388, 388)


@pytest.mark.parametrize("name", ["se", "self-attention", "transunet"])
def test_global_attention_sees_the_whole_image(name: str) -> None:
    assert measure_cost(preset(name), (64, 64)).receptive_field == (math.inf, math.inf)


def test_the_activations_counted_are_those_that_autograd_keeps() -> None:
    config = UNetConfig(widths=(4, 8), block=BlockConfig(norm="none", convs=1, activation="relu"), down="average")
    image, first, pooled, second, up, joined, last, logits = 256, 4 * 256, 4 * 64, 8 * 64, 4 * 256, 8 * 256, 4 * 256, 0
    kept = image + first + pooled + second + joined + last + logits
    assert measure_cost(config, (16, 16)).activation_bytes == 4 * kept
    assert up == first  # only its copy within the concatenation is kept


@pytest.mark.parametrize("name", ["attention-3d", "transunet", "vgg16", "se", "nnunet-3d"])
def test_shapes_known_here_are_those_that_torch_works_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = preset(name)
    size = (48,) * config.ndim
    cost = measure_cost(config, size)
    monkeypatch.setattr(shapes, "SHAPES", {})
    assert measure_cost(config, size) == cost


def test_the_cost_of_a_volume_is_worked_out_without_the_compiler() -> None:
    code = (
        "import sys; from ushape.nets.cost import measure_cost; from ushape.nets.presets import preset;"
        "measure_cost(preset('attention-3d'), (32, 32, 32)); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="nearest: 556 and 572"):
        measure_cost(preset("unet-2015"), (560, 572))


def test_the_size_that_a_net_pads_an_image_to_is_told() -> None:
    cost = measure_cost(preset("attention-2d"), (8, 40))
    assert (cost.space, cost.rows[0].shape[2:]) == ((32, 40), (32, 40))
    assert measure_cost(preset("unet-2015"), (572, 572)).space == (572, 572)
