"""Maps as pictures: a heat map with an outline, channels side by side, a cross at a voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from numpy import ndarray

from ushape.report.gallery import show_image, show_panel
from ushape.report.layers import LINE, LONGEST, draw_contours, encode_photo, find_contours, fit_size, window_grey
from ushape.report.markup import Html, tag

NARROWEST = 0.05
"""Range of a map that is drawn in all colours: a narrower one would show noise."""
TILE = 120
"""Pixels of a channel's longer side in a mosaic."""
GAP = 3
UNSEEN = ((150, 150, 150), (110, 110, 110))
"""Two grays, in stripes where nothing was looked at: no map has them."""
STRIPE = 6
MUTED = 0.72
"""How bright an image is below outlines, as in the report's gallery."""
CROSS = 5
"""Pixels from the middle of a cross to its ends, more in large pictures; the middle and its neighbours stay clear."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with its title.

    Attributes:
        spacing: size of a pixel, (row, column).
    """

    title: str
    pixels: UInt8[ndarray, "h w *rgb"]
    spacing: tuple[float, float] = (1.0, 1.0)


def show_pictures(pictures: Sequence[Picture]) -> Html:
    """Set pictures side by side."""
    return tag("div", *(_show(picture) for picture in pictures), class_=f"panels of{len(pictures)}")


def show_strips(pictures: Sequence[Picture]) -> Html:
    """Set strips of small pictures one below the other, each in its own size."""
    return tag("div", *(_show(picture, picture.pixels.shape[:2]) for picture in pictures), class_="strips")


def draw_heat(
    heat: Float[ndarray, "h w"], outline: Bool[ndarray, "h w"], seen: Bool[ndarray, "h w"] | None = None
) -> UInt8[ndarray, "h2 w2 3"]:
    """Draw a map with values in [0, 1] from dark violet to yellow, and the outline of a region in white.

    The image does not show through: what is bright in it would look as if the map were. Small maps are drawn larger.

    Args:
        seen: where there is a map, the rest is hatched; None for everywhere.

    >>> draw_heat(np.zeros((100, 50)), np.zeros((100, 50), dtype=bool)).shape
    (500, 250, 3)
    """
    from matplotlib import colormaps

    times = max(math.ceil(LONGEST / max(heat.shape)), 1)
    large, region = (np.kron(part, np.ones((times, times))) for part in (np.clip(heat, 0, 1), outline))
    colours = np.round(np.asarray(colormaps["plasma"](large))[..., :3] * 255).astype(np.uint8)
    if seen is not None:
        down, right = np.indices(large.shape)
        stripes = np.array(UNSEEN, dtype=np.uint8)[(down + right) * LONGEST // (STRIPE * max(large.shape)) % 2]
        colours = np.where(np.kron(seen, np.ones((times, times)))[..., None] > 0, colours, stripes)
    colours[find_contours(region.astype(np.int16), max(round(max(region.shape) / LONGEST), 1))] = 255
    return colours


def stretch(heat: Float[ndarray, "*space"]) -> tuple[Float[ndarray, "*space"], float, float]:
    """Spread a map over [0, 1] from its 1st to its 99th percentile, at least `NARROWEST` apart; return these, too.

    >>> stretch(np.full((2, 2), 0.5))[1:]
    (0.475, 0.525)
    """
    low, high = (float(value) for value in np.percentile(heat, [1, 99]))
    missing = max(NARROWEST - (high - low), 0) / 2
    low, high = low - missing, high + missing
    return np.clip((heat - low) / (high - low), 0, 1), low, high


def draw_image(image: Shaped[ndarray, "c h w"]) -> UInt8[ndarray, "h w 3"]:
    """Draw an image as the report does."""
    return np.ascontiguousarray(_rgb(image))


def draw_outlined(image: Shaped[ndarray, "c h w"], label: Integer[ndarray, "h w"]) -> UInt8[ndarray, "h2 w2 3"]:
    """Draw an image, gray and darker, and the outline of every class in the colour that it has in a report.

    >>> draw_outlined(np.zeros((1, 96, 96)), np.eye(96, dtype=np.int16)).shape
    (480, 480, 3)
    """
    times = max(math.ceil(LONGEST / max(label.shape)), 1)
    large = np.ones((times, times), dtype=label.dtype)
    grey = np.kron(MUTED * _rgb(image).mean(axis=-1), large)
    lines = draw_contours(np.kron(label, large), LINE * max(round(max(grey.shape) / LONGEST), 1))
    return np.where(lines[..., 3:] > 0, lines[..., :3], grey[..., None]).astype(np.uint8)


def mark_place(pixels: UInt8[ndarray, "h w 3"], place: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    """Draw a red cross around a pixel; the pixel itself stays as it is."""
    times = max(pixels.shape[0], pixels.shape[1]) // LONGEST + 1
    down, right = np.abs(np.indices(pixels.shape[:2]) - np.reshape(place, (2, 1, 1)))
    thin, far = np.minimum(down, right), np.maximum(down, right)
    marked = pixels.copy()
    marked[(thin < times) & (far > 1) & (far > times) & (far <= CROSS * times)] = (255, 60, 60)
    return marked


def draw_mosaic(maps: Float[ndarray, "k h w"]) -> UInt8[ndarray, "rows cols"]:
    """Set channels side by side, each from its 1st percentile in black to its 99th in white.

    >>> draw_mosaic(np.zeros((2, 3, 4))).shape[1] - 2 * 120
    3
    """
    rows, columns = maps.shape[1:]
    scale = TILE / max(rows, columns)
    size = (max(round(rows * scale), 1), max(round(columns * scale), 1))
    low, high = np.percentile(maps, [1, 99], axis=(1, 2), keepdims=True)
    scaled = np.round(255 * np.clip((maps - low) / np.where(high > low, high - low, 1), 0, 1)).astype(np.uint8)
    picked = [np.arange(want) * have // want for want, have in zip(size, (rows, columns), strict=True)]
    tiles = [channel[np.ix_(*picked)] for channel in scaled]
    gap = np.full((size[0], GAP), 255, dtype=np.uint8)
    return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)


def _rgb(image: Shaped[ndarray, "c h w"]) -> ndarray:
    grey = window_grey(image, None)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=-1)


def _show(picture: Picture, size: tuple[int, int] | None = None) -> Html:
    rows, columns = picture.pixels.shape[:2]
    size = size or fit_size(rows * picture.spacing[0], columns * picture.spacing[1])
    return show_panel(picture.title, size, show_image(encode_photo(picture.pixels, size), size))
