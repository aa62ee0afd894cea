"""Maps as pictures: a heat map on its image, channels side by side, a cross at a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray

from ushape.report.gallery import show_image, show_panel
from ushape.report.layers import encode_photo, fit_size, window_grey
from ushape.report.markup import Html, tag

STRENGTH = 0.6
"""How much of a pixel is the map's colour where the map is 1."""
TILE = 120
"""Pixels of a channel's longer side in a mosaic."""
GAP = 3
CROSS = 5
"""Pixels from the middle of a cross to its ends; the middle and its neighbours stay clear."""


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


def draw_heat(image: Shaped[ndarray, "c h w"], heat: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    """Lay a map with values in [0, 1] over its image, from dark violet to yellow; the image shows through.

    >>> draw_heat(np.zeros((1, 2, 2)), np.zeros((2, 2))).shape
    (2, 2, 3)
    """
    from matplotlib import colormaps

    colours = np.asarray(colormaps["plasma"](np.clip(heat, 0, 1)))[..., :3] * 255
    return np.round(_rgb(image) * (1 - STRENGTH) + colours * STRENGTH).astype(np.uint8)


def draw_image(image: Shaped[ndarray, "c h w"]) -> UInt8[ndarray, "h w 3"]:
    """Draw an image as the report does."""
    return np.ascontiguousarray(_rgb(image))


def mark_place(pixels: UInt8[ndarray, "h w 3"], place: tuple[int, int]) -> UInt8[ndarray, "h w 3"]:
    """Draw a red cross around a pixel; the pixel itself stays as it is."""
    marked = pixels.copy()
    rows, columns = marked.shape[:2]
    for away in (*range(-CROSS, -1), *range(2, CROSS + 1)):
        for row, column in ((place[0] + away, place[1]), (place[0], place[1] + away)):
            if 0 <= row < rows and 0 <= column < columns:
                marked[row, column] = (255, 60, 60)
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
