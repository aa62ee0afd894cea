"""The layer table of a network, sorted into what its figure shows: tensors, and what turns one into the next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

import torch

from ushape.explain.svg import TIMES
from ushape.nets.config import UNetConfig
from ushape.nets.cost import Cost, Row
from ushape.nets.unet import make_encoder

Kind = Literal["conv", "attend", "down", "up", "skip", "head", "token", "lateral", "smooth", "fuse"]
BEHIND_VGG = {"vgg16": ", ReLU", "vgg16_bn": ", batch norm, ReLU"}
"""What follows each of its convolutions: layers of their own, which the table leaves out or gives a line."""
ATTENTIONS = ("squeeze-excite", "CBAM", "scSE")


@dataclass(frozen=True)
class Step:
    """One tensor and what made it.

    Attributes:
        space: its size per axis; () where it is that of the tensor before.
    """

    kind: Kind
    operation: str
    channels: int
    space: tuple[int, ...]


@dataclass(frozen=True)
class Descent:
    """One level of the encoder.

    Attributes:
        pool: the tensor behind a pooling; None where a convolution strides, and at the first level.
        steps: the tensors of its blocks; none where the level has a grid but no features.
        blocks: how many there are, if they are too many to draw all.
    """

    pool: Step | None
    steps: tuple[Step, ...]
    blocks: int = 1


@dataclass(frozen=True)
class Ascent:
    """One level of the decoder.

    Attributes:
        skip: the channels that come from the encoder as the join takes them; 0 for none.
        join: the tensor behind the join.
    """

    up: Step
    skip: int
    join: Step
    gated: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Figure:
    """What a figure of a network shows. Levels stand finest first.

    Attributes:
        bottleneck: what the coarsest level passes before the decoder.
        laterals: the levels of a pyramid, before they are smoothed.
        sum: the sum of all decoder levels.
        heads: one per supervised level.
    """

    config: UNetConfig
    cost: Cost
    space: tuple[int, ...]
    descents: tuple[Descent, ...]
    bottleneck: tuple[Step, ...]
    laterals: tuple[Step, ...]
    smooths: tuple[Step, ...]
    ascents: tuple[Ascent, ...]
    sum: Step | None
    heads: tuple[Step, ...]

    @property
    def residual(self) -> tuple[bool, bool]:
        """Whether blocks of encoder and decoder add their input."""
        residual, own = self.config.block.residual, self.config.encoder == "plain"
        return residual and own, residual and self.config.decoder.residual


def read_figure(config: UNetConfig, cost: Cost, space: tuple[int, ...]) -> Figure:
    """Sort the rows of a layer table.

    >>> from ushape.nets.cost import measure_cost
    >>> config = UNetConfig(widths=(4, 8))
    >>> figure = read_figure(config, measure_cost(config, (32, 32)), (32, 32))
    >>> [(step.channels, step.space) for step in figure.descents[1].steps]
    [(8, (16, 16)), (8, (16, 16))]
    """
    rows = cost.rows
    ascents = tuple(read_ascent(rows, level) for level in range(len(config.widths) - 1))
    timm, widths = config.encoder.startswith("timm:"), config.widths
    if timm:
        widths = measure_widths(config)
        ascents = tuple(
            replace(each, skip=each.skip if width else 0) for each, width in zip(ascents, widths, strict=False)
        )
    return Figure(
        config,
        cost,
        space,
        tuple(read_timm(rows, ascents, widths) if timm else read_descents(rows, config)),
        tuple(read_bottleneck(rows)),
        tuple(read_steps(rows, "pyramid.lateral.", "lateral")),
        tuple(read_steps(rows, "pyramid.smooth.", "smooth")),
        ascents,
        next(read_steps(rows, "sum", "fuse"), None),
        tuple(read_steps(rows, "heads.", "head")),
    )


def make_step(row: Row, kind: Kind) -> Step:
    """Note what a row gives, its operation in the signs of print."""
    words = re.sub(r"(?<![a-z])x(?=\d)", TIMES, row.operation)
    return Step(kind, re.sub(r" /(?=\d)", ", stride ", words), row.shape[1], row.shape[2:])


def read_steps(rows: Iterable[Row], prefix: str, kind: Kind) -> Iterator[Step]:
    """Yield the rows of one part of the network in the order of their names, which is that of the levels."""
    yield from (make_step(row, kind) for row in sorted(rows, key=lambda row: row.stage) if row.stage.startswith(prefix))


def read_block(rows: Iterable[Row], prefix: str, behind: str = "") -> tuple[Step, ...]:
    """List convolutions and attention of a level; shortcuts, and norms that stand alone, make no tensor of theirs."""
    found = []
    for row in rows:
        if row.stage.startswith(prefix) and row.operation in ATTENTIONS:
            found.append(make_step(row, "attend"))
        elif row.stage.startswith(prefix) and row.operation.startswith("conv") and "shortcut" not in row.operation:
            found.append(make_step(replace(row, operation=row.operation + behind), "conv"))
    return tuple(found)


def read_descents(rows: tuple[Row, ...], config: UNetConfig) -> Iterator[Descent]:
    """Yield the levels of a plain or VGG encoder."""
    for level, (blocks, own) in enumerate(zip(config.level_repeats, split_levels(rows), strict=True)):
        pools = [
            make_step(row, "down")
            for row in own
            if " pool " in f" {row.operation} " and "shortcut" not in row.operation
        ]
        steps = read_block(own, "encoder.", BEHIND_VGG.get(config.encoder, ""))
        if level and not pools:
            first = Step("down", steps[0].operation, steps[0].channels, steps[0].space)
            steps = (first, *steps[1:])
        yield Descent(pools[0] if pools else None, steps, blocks)


def split_levels(rows: tuple[Row, ...]) -> list[list[Row]]:
    """Cut the encoder's rows before each level: a pooling, or a number in the name, begins one."""
    levels: list[list[Row]] = [[]]
    for row in takewhile(lambda row: row.stage.startswith("encoder"), rows):
        _, part, number, *_ = [*row.stage.split("."), "0", "0"]
        begins = "max pool" in row.operation if part == "features" else False
        if part == "downs":
            begins = True
        elif part == "levels":
            begins = int(number) == len(levels)
        if begins:
            levels.append([])
        levels[-1].append(row)
    return levels


def measure_widths(config: UNetConfig) -> tuple[int, ...]:
    """Return the channels of each level of an encoder of timm, 0 where it has none."""
    with torch.device("meta"):
        return make_encoder(config).widths


def read_timm(rows: tuple[Row, ...], ascents: tuple[Ascent, ...], widths: tuple[int, ...]) -> Iterator[Descent]:
    """Yield the levels of an encoder of timm, of which the table has one line."""
    (whole,) = (make_step(row, "down") for row in rows if row.stage == "encoder")
    for ascent, width in zip(ascents, widths, strict=False):
        yield Descent(None, (replace(whole, channels=width, space=ascent.join.space),))
    yield Descent(None, (whole,))


def read_bottleneck(rows: tuple[Row, ...]) -> Iterator[Step]:
    """Yield what stands at the bottleneck, transformer layers as one step."""
    layers = [row for row in rows if row.stage.startswith("bottleneck.layers.")]
    for row in rows:
        if row.stage == "bottleneck":
            step = make_step(row, "token")
            words = (
                f"{len(layers)} {TIMES} {layers[0].operation}, {layers[0].shape[-1]} channels"
                if layers
                else step.operation
            )
            yield Step("token", words, step.channels, step.space)


def read_ascent(rows: tuple[Row, ...], level: int) -> Ascent:
    """Read one level of the decoder."""
    prefix = f"decoder.{level}."
    (up,) = read_steps(rows, f"{prefix}up", "up")
    (join,) = (make_step(row, "skip") for row in rows if row.stage == f"{prefix}join")
    skip = up.channels if join.operation.startswith("add") else join.channels - up.channels
    gated = any(row.stage == f"{prefix}join.gate" for row in rows)
    return Ascent(up, skip, join, gated, read_block(rows, f"{prefix}block."))
