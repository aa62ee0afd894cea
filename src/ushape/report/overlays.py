"""An image with its classes drawn on it, as large as eyes need it, in its true proportions, with a key of colours."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Integer, Shaped, UInt8
from numpy import ndarray

from ushape.core.labels import Labels
from ushape.io.colours import label_colours
from ushape.io.outputs import draw_overlay
from ushape.report.layers import resample_nearest

SMALLEST = 256
"""Pixels of the longer side below which a picture is enlarged."""
LARGEST = 4096
"""Pixels of the longer side up to which a picture is stretched."""
_LINE, _SWATCH, _PAD = 20, 12, 6


def draw_large(
    image: Shaped[ndarray, "channels rows cols"],
    label: Integer[ndarray, "rows cols"],
    labels: Labels,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> UInt8[ndarray, "height width 3"]:
    """Draw an overlay (see `draw_overlay`) in the size of `fit_overlay`: the image smoothly, its classes sharply.

    Where there are several foreground classes, a key below names those that occur.

    Args:
        label: class indices, not file values.
        spacing: size of a pixel, (row, column).
    """
    size = fit_overlay((label.shape[0], label.shape[1]), spacing)
    label = resample_nearest(label, size)
    drawn = draw_overlay(resample_smoothly(image[:3], size), label, labels)
    shown = [index for index in np.unique(label).tolist() if index > 0] if labels.count > 2 else []
    return np.concatenate([drawn, _draw_key(shown, labels, drawn.shape[1])]) if shown else drawn


def fit_overlay(shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[int, int]:
    """Return rows and columns of a picture: stretched by its spacing, and small ones enlarged a whole number of times.

    >>> fit_overlay((512, 640), (1.0, 1.0)), fit_overlay((35, 51), (1.0, 1.0)), fit_overlay((20, 300), (4.0, 1.0))
    ((512, 640), (210, 306), (80, 300))
    """
    fine = min(spacing)
    rows, columns = (count * step / fine for count, step in zip(shape, spacing, strict=True))
    longer = max(rows, columns)
    times = min(max(math.ceil(SMALLEST / longer), 1), max(LARGEST, *shape) / longer)
    return max(round(rows * times), 1), max(round(columns * times), 1)


def resample_smoothly(
    image: Shaped[ndarray, "channels rows cols"], size: tuple[int, int]
) -> Shaped[ndarray, "channels h w"]:
    """Bring an image to another size by cubic interpolation; one of that size is returned as it is."""
    if image.shape[1:] == size:
        return image
    from PIL import Image

    flats = [Image.fromarray(np.asarray(channel, dtype=np.float32)) for channel in image]
    return np.stack([np.asarray(flat.resize((size[1], size[0]), Image.Resampling.BICUBIC)) for flat in flats])


def _draw_key(shown: list[int], labels: Labels, width: int) -> UInt8[ndarray, "height width 3"]:
    """Draw a swatch and the name of each class, as many lines as they need; a name in another script is its number."""
    from PIL import Image, ImageDraw, ImageFont

    font, palette = ImageFont.load_default(_SWATCH), label_colours(labels)
    names = {index: _plain(labels.names[index]) or str(labels.values[index]) for index in shown}
    places: list[tuple[int, int, int]] = []
    x = y = 0
    for index, name in names.items():
        needed = _SWATCH + 2 * _PAD + math.ceil(font.getlength(name))
        if x and x + needed > width:
            x, y = 0, y + _LINE
        places.append((index, x, y))
        x += needed + _PAD
    picture = Image.new("RGB", (width, y + _LINE), "white")
    pen = ImageDraw.Draw(picture)
    for index, left, top in places:
        corner = (left + _PAD // 2, top + _PAD // 2 + 1)
        pen.rectangle((*corner, corner[0] + _SWATCH, corner[1] + _SWATCH), fill=tuple(palette[index].tolist()))
        pen.text((corner[0] + _SWATCH + _PAD, corner[1]), names[index], fill="black", font=font)
    return np.asarray(picture)


def _plain(name: str) -> str:
    """Return a name if Pillow's own font can draw it, else ""."""
    return name if name.encode("latin-1", "ignore").decode("latin-1") == name else ""
