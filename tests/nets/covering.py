"""A small set of network configs in which every allowed pair of choices occurs at least once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from ushape.nets.unet import UNetConfig

Row = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]
CHOICES: dict[str, tuple[Any, ...]] = {
    "ndim": (2, 3),
    "block.residual": (False, True),
    "block.norm": ("batch", "instance", "group", "none"),
    "block.activation": ("relu", "leaky_relu", "gelu"),
    "block.attention": ("none", "se", "cbam", "scse"),
    "block.padding": ("same", "valid"),
    "encoder": ("plain", "vgg16", "vgg16_bn"),
    "down": ("max", "average", "stride"),
    "strides": ("even", "uneven"),
    "bottleneck": ("none", "attention", "transformer"),
    "up": ("transpose", "linear", "nearest", "shuffle"),
    "up_kernel": (0, 1, 3),
    "skip": ("concat", "add", "gate"),
    "align": ("pad", "crop", "resize"),
    "fusion": ("none", "pyramid", "sum"),
    "deep_supervision": (False, True),
}
FIXED = {
    "widths": (4, 6, 8),
    "transformer": {"width": 8, "depth": 1, "heads": 2, "hidden": 8, "grid": 3},
    "fusion_width": 4,
    "block.convs": 1,
}
UNEVEN = {2: ((1, 1), (1, 2), (3, 2)), 3: ((1, 1, 1), (1, 2, 2), (2, 2, 3))}


def make_config(row: Row) -> UNetConfig:
    """Build the config of one row.

    Raises:
        ValidationError: its choices do not go together.
    """
    data: dict[str, Any] = {}
    for dotted, value in {**FIXED, **row}.items():
        table, _, field = dotted.rpartition(".")
        (data.setdefault(table, {}) if table else data)[field] = value
    data["strides"] = UNEVEN[row["ndim"]] if row["strides"] == "uneven" else ()
    return UNetConfig(**data)


def is_allowed(row: Row) -> bool:
    try:
        make_config(row)
    except ValidationError:
        return False
    return True


def cover(choices: dict[str, tuple[Any, ...]], seed: int = 0, tries: int = 40) -> list[Row]:
    """Add rows, each the best of some random ones, until no pair of choices that is allowed is left out."""
    rng = random.Random(seed)
    missing = {pair for pair in all_pairs(choices) if complete(pair, choices, rng)}
    rows: list[Row] = []
    while missing:
        candidates = [complete(rng.choice(sorted(missing, key=repr)), choices, rng) for _ in range(tries)]
        best = max(filter(None, candidates), key=lambda row: len(missing & pairs_of(row)))
        missing -= pairs_of(best)
        rows.append(best)
    return rows


def all_pairs(choices: dict[str, tuple[Any, ...]]) -> Iterator[Pair]:
    for (a, of_a), (b, of_b) in itertools.combinations(choices.items(), 2):
        yield from (((a, one), (b, other)) for one, other in itertools.product(of_a, of_b))


def pairs_of(row: Row) -> set[Pair]:
    return set(itertools.combinations(row.items(), 2))


def complete(pair: Pair, choices: dict[str, tuple[Any, ...]], rng: random.Random) -> Row | None:
    """Fill the rest of a row at random so that it is allowed; None if the pair never is."""
    plain = {"block.padding": "same", "encoder": "plain", "align": "crop", "fusion": "none", "deep_supervision": False}
    for attempt in range(60):
        row = {name: rng.choice(values) for name, values in choices.items()}
        row |= {"down": "max", "strides": "even", "ndim": 2, **plain} if attempt > 40 else {}
        row |= dict(pair)
        if is_allowed(row):
            return row
    return None
