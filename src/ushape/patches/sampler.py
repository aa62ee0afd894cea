"""Where the patches of a training step are cut: a pure function of the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Int, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.config import Config
from ushape.core.grid import cut_mirrored
from ushape.patches.store import Contents, PreparedCase, Store


class PatchConfig(Config):
    """What one training step sees.

    Attributes:
        size: patch size per axis in voxels, (row, col) or (z, y, x); parts outside the image are mirrored in. Two
            numbers for volumes cut slices.
        batch: patches per step.
        foreground: share of patches that must hold a foreground voxel, each class of the case equally often, anywhere
            in the patch; at least one per step unless 0.
        by_area: 0 draws every case equally often, 1 in proportion to its area (or volume), between them to a power of
            it.
    """

    size: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    batch: Annotated[int, Field(ge=1)] = 4
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.33
    by_area: Annotated[float, Field(ge=0, le=1)] = 0.0


@dataclass(frozen=True)
class Draw:
    """Which case a patch comes from, and the randomness that places it.

    Attributes:
        position: the case's place in the store.
        seed: of the generator that places the patch in its case.
        on_foreground: whether the patch must hold a foreground voxel, if its case has one.
    """

    position: int
    seed: tuple[int, ...]
    on_foreground: bool


def draw_step(seed: int, step: int, contents: Contents, config: PatchConfig) -> list[Draw]:
    """Choose the cases of one step, and which of its patches must hold foreground.

    A round has as many patches as there are cases. Every case comes once in each, in a new order; or `by_area` so often
    as its share says, rounded up or down. Where a step drew only cases without foreground, one with takes the place of
    the first.

    >>> contents = Contents(np.array([9, 9, 9, 9]), np.array([True, True, False, True]))
    >>> rounds = [draw.position for step in (0, 1) for draw in draw_step(7, step, contents, PatchConfig(batch=2))]
    >>> sorted(rounds)
    [0, 1, 2, 3]
    """
    cases, first = len(contents.voxels), step * config.batch
    turns = range(first // cases, (first + config.batch - 1) // cases + 1)
    rounds = np.concatenate([draw_round(np.random.default_rng((seed, 1, turn)), contents, config) for turn in turns])
    positions = rounds[first % cases :][: config.batch]
    forced, able = _count_forced(step, config), contents.has_foreground
    if forced and able.any() and not able[positions].any():
        positions[0] = np.random.default_rng((seed, 4, step)).choice(np.flatnonzero(able))
    chosen = set(np.flatnonzero(able[positions])[:forced].tolist())
    return [
        Draw(int(position), (seed, 2, step, place), on_foreground=place in chosen)
        for place, position in enumerate(positions)
    ]


def draw_round(rng: np.random.Generator, contents: Contents, config: PatchConfig) -> Int[ndarray, " cases"]:
    """Draw as many positions as there are cases, each as often as its weight says, rounded up or down.

    The weights are laid end to end in a random order and cut at even distances (systematic sampling).
    """
    weights = contents.voxels.astype(float) ** config.by_area
    order = rng.permutation(len(weights))
    ends = weights[order].cumsum() * (len(weights) / weights.sum())
    drawn = np.searchsorted(ends, rng.random() + np.arange(len(weights)))
    return rng.permutation(order[np.minimum(drawn, len(weights) - 1)])


def _count_forced(step: int, config: PatchConfig) -> int:
    """Spread the share over the steps: so many that the sum up to each step is right."""
    share = config.foreground * config.batch
    return max(1, round((step + 1) * share) - round(step * share)) if config.foreground else 0


def place_patch(case: PreparedCase, draw: Draw, size: tuple[int, ...]) -> tuple[int, ...]:
    """Choose a patch's first voxel: anywhere inside, or so that a random foreground voxel lies anywhere inside it.

    An axis shorter than the patch is centred in it.
    """
    rng = np.random.default_rng(draw.seed)
    space = case.label.shape[-len(size) :]
    if draw.on_foreground and case.locations:
        classes = sorted(case.locations)
        voxels = case.locations[classes[rng.integers(len(classes))]]
        starts = voxels[rng.integers(len(voxels))] - [rng.integers(length) for length in size]
    else:
        starts = np.array([rng.integers(max(full - length, 0) + 1) for full, length in zip(space, size, strict=True)])
    return tuple(_inside(int(start), length, full) for start, length, full in zip(starts, size, space, strict=True))


def cut_step(
    store: Store, draws: list[Draw], config: PatchConfig
) -> tuple[Float[ndarray, "b channels *patch"], Integer[ndarray, "b *patch"] | Bool[ndarray, "b classes *patch"]]:
    """Cut the patches of one step: images float32; class indices int16, or masks of overlapping classes.

    Patches of fewer axes than the cases are cut from single slices along the first axis.
    """
    images, labels = [], []
    for draw in draws:
        case = store[draw.position]
        ndim = case.image.ndim - 1
        size = (1,) * (ndim - len(config.size)) + config.size
        starts = place_patch(case, draw, size)
        images.append(cut_mirrored(case.image, starts, size).reshape(-1, *config.size))
        masks = case.label.shape[: case.label.ndim - ndim]  # () of class indices
        labels.append(cut_mirrored(case.label, starts, size).reshape(*masks, *config.size))
    label = np.stack(labels)
    return np.stack(images).astype(np.float32, copy=False), label if label.dtype == bool else label.astype(np.int16)


def _inside(start: int, length: int, full: int) -> int:
    if full <= length:
        return (full - length) // 2
    return min(max(start, 0), full - length)
