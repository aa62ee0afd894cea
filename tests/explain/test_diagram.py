"""Figures of networks: they show what the layer table says, nothing lies on anything else, all is in the picture."""

import math
import re
from functools import cache
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
import torch

from ushape.core.errors import ShapeError
from ushape.explain.diagram import draw_network
from ushape.explain.figure import read_figure
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.nets.cost import measure_cost
from ushape.nets.presets import PRESETS, preset

MOST_BYTES = 40_000
TAG = "{http://www.w3.org/2000/svg}"
ONE_CONV = BlockConfig(convs=1)
HEAVY = BlockConfig(residual=True, attention="cbam", convs=3)
VALID = BlockConfig(padding="valid", norm="none")
CONFIGS = {
    "two levels": UNetConfig(widths=(4, 8)),
    "one bar per level": UNetConfig(widths=(4, 8, 16), down="stride", block=ONE_CONV, skip="add", up="shuffle"),
    "one bar per level, gated": UNetConfig(widths=(4, 8, 16), down="stride", block=ONE_CONV, skip="gate"),
    "added skips, summed levels, heads": UNetConfig(
        widths=(4, 8, 16), skip="add", adjust_skip=True, fusion="sum", deep_supervision=True
    ),
    "a pyramid with gates": UNetConfig(widths=(4, 8, 16), skip="gate", fusion="pyramid", up="nearest"),
    "unpadded": UNetConfig(widths=(4, 8, 16), block=VALID, align="crop"),
    "strides per axis": UNetConfig(
        ndim=3,
        widths=(4, 8, 16),
        strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        repeats=(1, 2, 3),
        block=HEAVY,
        bottleneck="attention",
        down="average",
    ),
    "vgg with norms": UNetConfig(widths=(4, 8, 16), encoder="vgg16_bn"),
}


@cache
def draw(config: UNetConfig, title: str = "net") -> str:
    return draw_network(config, choose_space(config), title=title)


def choose_space(config: UNetConfig) -> tuple[int, ...]:
    size = 44 if config.block.padding == "valid" else 64
    return (572,) * 2 if len(config.widths) == 5 and config.block.padding == "valid" else (size,) * config.ndim


def every_config() -> dict[str, UNetConfig]:
    return {**{name: preset(name) for name in PRESETS}, **CONFIGS}


def words_in(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{TAG}text")]


def bars_in(svg: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of every tensor."""
    rects = [each.attrib for each in ET.fromstring(svg).iter(f"{TAG}rect") if each.get("class", "").startswith("bar ")]
    numbers = [[float(each[name]) for name in ("x", "y", "width", "height")] for each in rects]
    return [(x, y, x + width, y + height) for x, y, width, height in numbers]


@pytest.mark.parametrize("config", every_config().values(), ids=every_config())
def test_bars_stand_apart_and_all_is_within_a_small_picture(config: UNetConfig) -> None:
    svg = draw(config)
    assert len(svg.encode()) <= MOST_BYTES
    root, bars = ET.fromstring(svg), bars_in(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(0 < left < right < width and 0 < top < bottom < height for left, top, right, bottom in bars)
    overlapping = [
        pair
        for pair in combinations(bars, 2)
        if min(pair[0][2], pair[1][2]) - max(pair[0][0], pair[1][0]) > 0.2
        and min(pair[0][3], pair[1][3]) - max(pair[0][1], pair[1][1]) > 0.2
    ]
    assert overlapping == []


@pytest.mark.parametrize("config", every_config().values(), ids=every_config())
def test_every_skip_is_long_enough_to_be_seen(config: UNetConfig) -> None:
    kind = "smooth" if config.fusion == "pyramid" else "skip"
    paths = [each.attrib for each in ET.fromstring(draw(config)).iter(f"{TAG}path")]
    drawn = [path["d"] for path in paths if path.get("class", "").split()[:2] == ["a", kind]]
    lengths = [float(end) - float(start) for start, end in re.findall(r"M([\d.]+) [\d.]+L([\d.]+) ", " ".join(drawn))]
    assert sum(length > 25 for length in lengths) >= len(config.widths) - 1
    assert min(lengths) > 5


def test_the_figure_of_2015_has_its_sizes_and_channels() -> None:
    words = words_in(draw_network(preset("unet-2015"), (572, 572)))
    assert {"570² → 568²", "284² → 280²", "32² → 28²", "392² → 388²", "572²", "388²"} <= set(words)
    assert words.count("1024") == 2
    assert words.count("64") == 2 + 1 + 2 + 2  # level 0, pooled, both halves of the join, behind it
    assert "31,030,658 parameters" in words[-1]
    assert words[-1].endswith("unpadded: 572² in, 388² out")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("attention-3d", "attention gate: the coarser level chooses which voxels of a skip pass"),
        ("nnunet-3d", "conv 1x1x1: logits of 2 classes, of lower levels while training"),
        ("nnunet-3d", "conv 3x3x3, stride 2x2x2, instance norm, leaky ReLU"),
        ("resenc-m", "6 blocks"),
        ("resenc-m", "shortcut: a block's input is added to its output, then activated"),
        ("vgg16", "conv 3x3, ReLU | conv 3x3, batch norm, ReLU"),
        ("transunet", "12 x transformer layer"),
        ("transunet", "768 channels"),
        ("fusion", "each level: conv 1x1, interpolated to the finest, and added"),
        ("pyramid", "pyramid: conv 1x1, plus the coarser level, interpolated"),
        ("se", "squeeze-excite: the tensor is reweighted"),
        ("unet-bn-bilinear", "bilinear x2x2"),
        ("unet-2015", "crop (dashed), concatenate the skip"),
    ],
)
def test_the_figure_says_what_is_special_about_a_network(name: str, said: str) -> None:
    assert said in [words.replace("\N{MULTIPLICATION SIGN}", "x") for words in words_in(draw(preset(name)))]


def test_gates_heads_and_sums_are_drawn_once_per_level() -> None:
    drawn = {name: draw(preset(name)) for name in ("attention-3d", "nnunet-3d", "fusion")}
    assert drawn["attention-3d"].count("<circle") == 4
    assert len(re.findall(r'class="bar hd"', drawn["nnunet-3d"])) == 5
    assert len(re.findall(r'class="a fuse', drawn["fusion"])) == 1 + 3 + 1 + 1  # finest, coarser, sum, legend


def test_a_figure_holds_every_convolution_of_the_layer_table() -> None:
    config = preset("unet-bn")
    cost = measure_cost(config, (64, 64))
    figure = read_figure(config, cost, (64, 64))
    steps = [step for level in (*figure.descents, *figure.ascents) for step in level.steps]
    assert len(steps) == sum("conv 3x3" in row.operation for row in cost.rows) == 18
    assert [level.pool is None for level in figure.descents] == [True, False, False, False, False]


def test_a_title_is_text_and_never_markup() -> None:
    svg = draw(CONFIGS["two levels"], title='<script>&"')
    assert words_in(svg)[0] == '<script>&"'
    assert "<script>" not in svg


def test_drawing_needs_no_weights_and_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    assert draw(preset("tiny")) == draw(preset("tiny"))
    assert torch.equal(before, torch.get_rng_state())


def test_a_net_that_sees_all_says_so_and_one_class_is_no_plural() -> None:
    words = words_in(draw(preset("transunet", classes=1)))
    assert math.inf in measure_cost(preset("transunet"), (64, 64)).receptive_field
    assert "one output can see all of the image" in words[-1]
    assert any(each.endswith("logits of 1 class") for each in words)


def test_an_image_that_is_padded_on_entry_is_said_to_be() -> None:
    assert words_in(draw_network(preset("nnunet-2d"), (64, 64)))[-1].endswith("the image is padded to 256²")


def test_a_size_that_the_network_does_not_take_is_refused() -> None:
    with pytest.raises(ShapeError, match="nearest: 556 and 572"):
        draw_network(preset("unet-2015"), (560, 572))


@pytest.mark.encoders
def test_an_encoder_of_timm_is_drawn_level_by_level_and_misses_those_it_lacks() -> None:
    svg = draw_network(preset("timm:resnet18", in_channels=3), (64, 64))
    assert svg.count('class="cut"') == 1
    assert {"timm resnet18", "512"} <= set(words_in(svg))
