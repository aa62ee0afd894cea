"""Sliding windows with Gaussian blending; memory is bounded by one batch of windows and the output."""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field

from ushape.core.case import ArrayLike
from ushape.core.config import Config
from ushape.core.grid import cut_mirrored
from ushape.predict.engines import Engine

STRETCH = 1.5
"""An axis up to this many windows long is taken in one: cheaper than two overlapping windows, memory still bounded."""


class WindowConfig(Config):
    """How an image is cut for prediction.

    Attributes:
        size: window size per axis in voxels, as the network sees it (margins of unpadded networks included).
        overlap: share of a window that its neighbour covers too, in [0, 1).
        batch: windows per pass.
    """

    size: tuple[Annotated[int, Field(ge=1)], ...] = (256, 256)
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Annotated[int, Field(ge=1)] = 1


def predict_windows(image: ArrayLike, engine: Engine, config: WindowConfig) -> Float[ndarray, "classes *space"]:
    """Predict an image of (channels, *space): cut windows, run the engine, blend the probabilities.

    Windows lie on a grid and their weights are separable, so that the sum of weights needs no volume of its own.

    Returns:
        Probabilities in float32 on the image's grid; they sum to 1 over the classes.
    """
    space = tuple(image.shape[1:])
    margin = engine.margin or (0,) * len(space)
    inner = inner_window(space, engine.window or config.size, margin, is_fixed=bool(engine.window or any(margin)))
    starts = [window_starts(size, length, config.overlap) for size, length in zip(space, inner, strict=True)]
    profiles = [blend_profile(length) for length in inner]
    total = np.zeros((engine.classes, *space), dtype=np.float32)
    for corners in _batched(itertools.product(*starts), config.batch):
        probabilities = engine(_cut(image, corners, inner, margin))
        for corner, window in zip(corners, probabilities, strict=True):
            _add(total, window, corner, profiles)
    return _normalise(total, starts, profiles)


def inner_window(
    space: tuple[int, ...], window: tuple[int, ...], margin: tuple[int, ...], *, is_fixed: bool
) -> tuple[int, ...]:
    """Choose how much of each axis one pass predicts.

    Args:
        is_fixed: whether only this size of window will do, as with unpadded convolutions and some exported networks;
            else a short axis is taken whole.
    """
    if is_fixed:
        return tuple(length - 2 * m for length, m in zip(window, margin, strict=True))
    return tuple(size if size <= length * STRETCH else length for size, length in zip(space, window, strict=True))


def window_starts(size: int, length: int, overlap: float) -> list[int]:
    """Place windows of `length` evenly on an axis of `size`, so that they cover it and overlap at least as asked.

    >>> window_starts(100, 40, 0.5)
    [0, 20, 40, 60]
    >>> window_starts(30, 40, 0.5)
    [0]
    """
    if size <= length:
        return [0]
    steps = math.ceil((size - length) / max(length * (1 - overlap), 1))
    return [round(i * (size - length) / steps) for i in range(steps + 1)]


def blend_profile(length: int) -> Float[ndarray, " length"]:
    """Weigh the voxels of a window along one axis: a Gaussian of sigma length / 8, at least 1e-3.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (sigma of the importance weighting).
    """
    distance = np.arange(length) - (length - 1) / 2
    return np.maximum(np.exp(-0.5 * (distance / max(length / 8, 1e-6)) ** 2), 1e-3).astype(np.float32)


def _batched(corners: itertools.product, batch: int) -> list[list[tuple[int, ...]]]:
    every = list(corners)
    return [every[i : i + batch] for i in range(0, len(every), batch)]


def _cut(image: ArrayLike, corners: list[tuple[int, ...]], inner: tuple[int, ...], margin: tuple[int, ...]) -> ndarray:
    lengths = [length + 2 * m for length, m in zip(inner, margin, strict=True)]
    starts = [[c - m for c, m in zip(corner, margin, strict=True)] for corner in corners]
    return np.stack([cut_mirrored(image, start, lengths) for start in starts]).astype(np.float32, copy=False)


def _add(total: ndarray, window: ndarray, corner: tuple[int, ...], profiles: list[ndarray]) -> None:
    space = total.shape[1:]
    kept = [min(len(p), size - start) for p, size, start in zip(profiles, space, corner, strict=True)]
    weighted = window[(slice(None), *(slice(k) for k in kept))]
    for axis, (profile, k) in enumerate(zip(profiles, kept, strict=True)):
        weighted = weighted * _along(profile[:k], axis, len(space))
    total[(slice(None), *(slice(s, s + k) for s, k in zip(corner, kept, strict=True)))] += weighted


def _normalise(total: ndarray, starts: list[list[int]], profiles: list[ndarray]) -> ndarray:
    space = total.shape[1:]
    for axis, (size, places, profile) in enumerate(zip(space, starts, profiles, strict=True)):
        weight = np.zeros(size, dtype=np.float32)
        for start in places:
            weight[start : start + len(profile)] += profile[: size - start]
        total /= _along(weight, axis, len(space))
    return total


def _along(values: ndarray, axis: int, ndim: int) -> ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(ndim)])
