"""Where the patches of a training step are cut: a pure function of the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.config import Config
from ushape.core.grid import cut_mirrored
from ushape.patches.store import PreparedCase, Store


class PatchConfig(Config):
    """What one training step sees.

    Attributes:
        size: patch size per axis in voxels, (row, col) or (z, y, x); parts outside the image are mirrored in.
        batch: patches per step.
        foreground: share of patches centred near a foreground voxel, each class equally often; at least one per step
            unless 0.
    """

    size: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    batch: Annotated[int, Field(ge=1)] = 4
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.33


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


def draw_step(seed: int, step: int, cases: int, config: PatchConfig) -> list[Draw]:
    """Choose the cases of one step: every case once in each round, in a new order each round.

    >>> rounds = [draw.position for step in (0, 1) for draw in draw_step(7, step, 4, PatchConfig(batch=2))]
    >>> sorted(rounds)
    [0, 1, 2, 3]
    """
    forced = max(1, round(config.foreground * config.batch)) if config.foreground else 0
    draws = []
    for place in range(config.batch):
        turn, rank = divmod(step * config.batch + place, cases)
        order = np.random.default_rng((seed, 1, turn)).permutation(cases)
        draws.append(Draw(int(order[rank]), (seed, 2, step, place), on_foreground=place < forced))
    return draws


def place_patch(case: PreparedCase, draw: Draw, size: tuple[int, ...]) -> tuple[int, ...]:
    """Choose a patch's first voxel: anywhere inside, or so that a random foreground voxel lies anywhere inside it.

    An axis shorter than the patch is centred in it.
    """
    rng = np.random.default_rng(draw.seed)
    space = case.label.shape
    if draw.on_foreground and case.locations:
        classes = sorted(case.locations)
        voxels = case.locations[classes[rng.integers(len(classes))]]
        starts = voxels[rng.integers(len(voxels))] - [rng.integers(length) for length in size]
    else:
        starts = np.array([rng.integers(max(full - length, 0) + 1) for full, length in zip(space, size, strict=True)])
    return tuple(_inside(int(start), length, full) for start, length, full in zip(starts, size, space, strict=True))


def cut_step(
    store: Store, draws: list[Draw], config: PatchConfig
) -> tuple[Float[ndarray, "b channels *patch"], Integer[ndarray, "b *patch"]]:
    """Cut the patches of one step: images float32 and class indices int16."""
    images, labels = [], []
    for draw in draws:
        case = store[draw.position]
        starts = place_patch(case, draw, config.size)
        images.append(cut_mirrored(case.image, starts, config.size))
        labels.append(cut_mirrored(case.label, starts, config.size))
    return np.stack(images).astype(np.float32, copy=False), np.stack(labels).astype(np.int16, copy=False)


def _inside(start: int, length: int, full: int) -> int:
    if full <= length:
        return (full - length) // 2
    return min(max(start, 0), full - length)
