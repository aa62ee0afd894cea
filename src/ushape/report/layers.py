"""Arrays as pictures: the image as JPEG, contours and agreement as transparent PNG layers above it."""

from __future__ import annotations

import base64
import io
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt8
from numpy import ndarray

LONGEST = 480
"""Pixels of a picture's longer side: sharp on a phone, small in the file."""
LINE = 2
"""Width of a contour in those pixels."""

# Both palettes stay apart under simulated deuteranopia and protanopia (tests/report/test_layers.py).
CLASS_COLOURS = ("#5CF2A5", "#FF8AE0", "#F0650A", "#FFE600", "#D500FF", "#FFFFFF")


class Agreement(IntEnum):
    """What label and prediction say of one pixel."""

    BACKGROUND = 0
    HIT = 1
    MISSED = 2
    EXTRA = 3
    OTHER = 4
    IGNORED = 5


AGREEMENT_COLOURS = {
    Agreement.HIT: "#56B4E9",
    Agreement.MISSED: "#FFC20A",
    Agreement.EXTRA: "#FF4D4D",
    Agreement.OTHER: "#8A4FFF",
    Agreement.IGNORED: "#808080",
}
"""Right, missed, extra, right place but another class, not counted; in the order of their codes."""
OPACITY = {code: 0.22 if code is Agreement.HIT else 0.72 for code in AGREEMENT_COLOURS}


def class_colour(index: int) -> str:
    """Return the contour's colour of a foreground class (1 is the first)."""
    return CLASS_COLOURS[(index - 1) % len(CLASS_COLOURS)]


def compare_labels(label: Integer[ndarray, "h w"], prediction: Integer[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    """Say for every pixel how label and prediction agree; negative labels are ignored.

    >>> import numpy as np
    >>> compare_labels(np.array([[0, 1, 1, 0, 2, -1]]), np.array([[0, 1, 0, 1, 1, 1]])).tolist()
    [[0, 1, 2, 3, 4, 5]]
    """
    true, said = label > 0, prediction > 0
    cases = [label < 0, true & said & (label == prediction), true & said, true, said]
    codes = [Agreement.IGNORED, Agreement.HIT, Agreement.OTHER, Agreement.MISSED, Agreement.EXTRA]
    return np.select(cases, [int(code) for code in codes], default=0).astype(np.uint8)


def find_contours(label: Integer[ndarray, "h w"], width: int = LINE) -> Bool[ndarray, "h w"]:
    """Mark the pixels of every class that lie within `width` of another class; the picture's border is no contour.

    >>> import numpy as np
    >>> find_contours(np.array([[0, 1, 1, 1, 1, 0]]), width=1).astype(int).tolist()
    [[0, 1, 0, 0, 1, 0]]
    """
    edge = np.zeros(label.shape, dtype=bool)
    padded = np.pad(label, width, mode="edge")
    rows, columns = label.shape
    for down in range(-width, width + 1):
        for right in range(-width, width + 1):
            if 0 < down * down + right * right <= width * width:
                top, left = width + down, width + right
                edge |= padded[top : top + rows, left : left + columns] != label
    return edge & (label > 0)


def draw_contours(label: Integer[ndarray, "h w"], width: int = LINE) -> UInt8[ndarray, "h w 4"]:
    """Draw the outline of every class in its colour on a clear ground."""
    classes = np.where(label > 0, (label - 1) % len(CLASS_COLOURS) + 1, 0)
    palette = np.array([_rgba("#000000", 0.0), *(_rgba(colour, 1.0) for colour in CLASS_COLOURS)], dtype=np.uint8)
    return palette[np.where(find_contours(label, width), classes, 0)]


def draw_agreement(
    label: Integer[ndarray, "h w"], prediction: Integer[ndarray, "h w"], width: int = LINE
) -> UInt8[ndarray, "h w 4"]:
    """Draw where label and prediction agree (faint), where they do not (strong), and the prediction's outline.

    The outline has the colour of what it runs through, at full strength.
    """
    codes = compare_labels(label, prediction)
    clear = _rgba("#000000", 0.0)
    fill = np.array([clear, *(_rgba(colour, OPACITY[code]) for code, colour in AGREEMENT_COLOURS.items())], np.uint8)
    line = np.array([clear, *(_rgba(colour, 1.0) for colour in AGREEMENT_COLOURS.values())], np.uint8)
    outline = find_contours(prediction, width) & (codes != Agreement.IGNORED)
    return np.where(outline[..., None], line[codes], fill[codes])


def fit_size(rows: float, columns: float) -> tuple[int, int]:
    """Scale a size so that its longer side is `LONGEST`; the shorter stays visible.

    >>> fit_size(100.0, 50.0)
    (480, 240)
    """
    scale = LONGEST / max(rows, columns)
    return max(round(rows * scale), 12), max(round(columns * scale), 12)


def resample_nearest(flat: Integer[ndarray, "h w"], size: tuple[int, int]) -> Integer[ndarray, "h2 w2"]:
    """Bring a label to another size, each pixel from the nearest."""
    rows, columns = (np.arange(want) * have // want for want, have in zip(size, flat.shape, strict=True))
    return flat[np.ix_(rows, columns)]


def window_grey(flat: Shaped[ndarray, "c h w"], window: tuple[float, float] | None) -> UInt8[ndarray, "h w *rgb"]:
    """Turn intensities into bytes: three different channels as colours, else the first as grey.

    Args:
        window: what becomes black and white; None takes the 0.5 and 99.5 percentile, for colours 0 and the latter,
            which keeps their hue.
    """
    shown = (flat if _is_colour(flat) else flat[:1]).astype(np.float32)
    finite = shown[np.isfinite(shown)]
    low, high = window or (np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0))
    low = min(low, 0.0) if window is None and len(shown) == 3 else low
    scaled = np.nan_to_num((shown - low) / max(high - low, 1e-12), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = np.round(255 * scaled.clip(0, 1)).astype(np.uint8)
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)


def encode_photo(pixels: UInt8[ndarray, "h w *rgb"], size: tuple[int, int]) -> str:
    """Return the pixels as the data address of a JPEG, made smaller to `size` (rows, columns) but never larger."""
    from PIL import Image

    rows, columns = (min(have, want) for have, want in zip(pixels.shape[:2], size, strict=True))
    photo = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=88, optimize=True)
    return _address("image/jpeg", buffer)


def encode_layer(pixels: UInt8[ndarray, "h w 4"]) -> str:
    """Return a layer of few colours as the data address of a palette PNG."""
    from PIL import Image

    packed, codes = np.unique(np.ascontiguousarray(pixels).view(np.uint32), return_inverse=True)
    colours = packed.view(np.uint8).reshape(-1, 4)
    layer = Image.fromarray(codes.reshape(pixels.shape[:2]).astype(np.uint8))
    layer.putpalette(colours[:, :3].tobytes())
    buffer = io.BytesIO()
    layer.save(buffer, "PNG", optimize=True, transparency=colours[:, 3].tobytes())
    return _address("image/png", buffer)


def _is_colour(flat: Shaped[ndarray, "c h w"]) -> bool:
    return len(flat) == 3 and not (np.array_equal(flat[0], flat[1]) and np.array_equal(flat[1], flat[2]))


def _rgba(colour: str, opacity: float) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue, round(255 * opacity)


def _address(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
