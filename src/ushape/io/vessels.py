"""Blood vessels that never were: a seeded data set of thin, branching things that fill a tenth of the picture.

The pictures imitate the green channel of fundus photographs. What makes them hard for a threshold is what makes real
ones hard: uneven light, capillaries as faint as the texture behind them, bleedings as dark as vessels, bright spots.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator

from ushape.core.errors import ConfigError
from ushape.core.files import write_text
from ushape.io.outputs import write_mask, write_picture
from ushape.io.synthetic import Size, slope, smooth_noise

_MIN_SIZE = 32
_SHARE = (0.08, 0.1)  # of the picture that is vessel
_MOST_TREES = 40
_THINNEST = 0.7  # radius in pixels below which a vessel ends
_BRANCHING = 1 / 28  # branchings per pixel of length
_README = """Synthetic blood vessels, made by ushape (seed {seed}, {count} pictures of {rows}x{cols} pixels).

images/  8-bit gray, like the green channel of a fundus photograph
masks/   0 background, 255 vessel
"""


@dataclass(frozen=True)
class Tip:
    """The growing end of a vessel: where it is, where it heads (radians), and its radius, in pixels."""

    row: float
    col: float
    heading: float
    radius: float


def make_vessels(
    rng: Generator, size: Size = (256, 256)
) -> tuple[UInt8[ndarray, "rows cols"], UInt8[ndarray, "rows cols"]]:
    """Make one picture of vessels and its truth, 1 where a vessel is.

    Raises:
        ConfigError: a side is below 32 pixels.

    >>> image, label = make_vessels(np.random.default_rng(0), (64, 96))
    >>> image.shape, str(image.dtype), bool(label.mean() > 0.05)
    ((64, 96), 'uint8', True)
    """
    if min(size) < _MIN_SIZE:
        raise ConfigError(
            f"size: expected at least {_MIN_SIZE}x{_MIN_SIZE} pixels, got {size[0]}x{size[1]}; 256x256 is usual"
        )
    thickness = paint_trees(rng, size)
    return expose(rng, thickness), (thickness > 0).astype(np.uint8)


def write_vessels(folder: Path, *, count: int = 24, seed: int = 0, size: Size = (256, 256)) -> None:
    """Write a data set of vessels: `images/`, `masks/` (0 and 255) and a README.

    A picture depends on the seed and its number only: a larger set begins with the smaller one's.

    Raises:
        OutputError: the folder cannot be written.
    """
    for number in range(count):
        image, label = make_vessels(np.random.default_rng((seed, number)), size)
        name = f"vessels_{number:03d}.png"
        write_picture(folder / "images" / name, image)
        write_mask(folder / "masks" / name, label * np.uint8(255))
    write_text(folder / "README.txt", _README.format(seed=seed, count=count, rows=size[0], cols=size[1]))


def paint_trees(rng: Generator, size: Size) -> Float[ndarray, "rows cols"]:
    """Grow trees from one point, and later from the border, until enough of the picture is vessel.

    Returns:
        How much blood lies over each pixel, in pixels; 0 outside of vessels.
    """
    thickness, wanted = np.zeros(size), rng.uniform(*_SHARE)
    disc = rng.uniform(0.3, 0.7) * size[0], rng.choice([0.12, 0.88]) * size[1]
    for number in range(_MOST_TREES):
        heading, radius = 2.4 * number + rng.normal(0, 0.3), rng.uniform(2.2, 3.8)
        row, col = disc if number < 6 else border_point(rng, size)
        tips = [Tip(row, col, heading, radius)]
        while tips and (thickness > 0).mean() < wanted:
            tips += grow(rng, tips.pop(0), thickness)
    return thickness


def border_point(rng: Generator, size: Size) -> tuple[float, float]:
    """Choose a point on the upper or lower border."""
    return float(rng.integers(2) * (size[0] - 1)), rng.uniform(0, size[1])


def grow(rng: Generator, tip: Tip, thickness: Float[ndarray, "rows cols"]) -> list[Tip]:
    """Paint a vessel along a winding path to its next branching.

    Returns:
        Its two branches, a thick and a thin one; none if it leaves the picture or is too thin.
    """
    row, col, heading, radius = tip.row, tip.col, tip.heading, tip.radius
    length, bend = rng.geometric(_BRANCHING) + 4 * radius, 0.0
    for _ in range(int(length)):
        bend = 0.9 * bend + rng.normal(0, 0.012)
        heading, radius = heading + bend, radius * 0.998
        row, col = row + np.sin(heading), col + np.cos(heading)
        if radius < _THINNEST or not (0 <= row < thickness.shape[0] and 0 <= col < thickness.shape[1]):
            return []
        paint_disc(thickness, row, col, radius)
    share, side = rng.uniform(0.5, 0.8), rng.choice([-1, 1])
    return [  # the cubes of the radii add up (Murray 1926)
        Tip(row, col, heading + side * rng.uniform(0.1, 0.3), radius * share ** (1 / 3)),
        Tip(row, col, heading - side * rng.uniform(0.5, 1.0), radius * (1 - share) ** (1 / 3)),
    ]


def paint_disc(thickness: Float[ndarray, "rows cols"], row: float, col: float, radius: float) -> None:
    """Let a ball of blood add to the thickness where it is thicker than what lies there."""
    reach = int(radius) + 2
    window = slice(max(0, int(row) - reach), int(row) + reach), slice(max(0, int(col) - reach), int(col) + reach)
    part = thickness[window]
    rows, cols = (np.arange(side.start, side.start + n) for side, n in zip(window, part.shape, strict=True))
    depth = radius**2 - (rows[:, None] - row) ** 2 - (cols - col) ** 2
    np.maximum(part, 2 * np.sqrt(np.clip(depth, 0, None)), out=part)


def expose(rng: Generator, thickness: Float[ndarray, "rows cols"]) -> UInt8[ndarray, "rows cols"]:
    """Take the picture: light that blood swallows, a mottled and unevenly lit ground, blur, noise, 8 bits."""
    from scipy.ndimage import gaussian_filter

    size = thickness.shape
    ground = 1 + 0.05 * smooth_noise(rng, size, 2.5) + 0.08 * smooth_noise(rng, size, 12.0)
    blood = thickness + paint_spots(rng, size, dark=True)
    light = ground * np.exp(-rng.uniform(0.06, 0.1) * blood) + 0.15 * paint_spots(rng, size, dark=False)
    lit = slope(rng, size, rng.uniform(0.5, 0.8)) * gaussian_filter(light, rng.uniform(0.6, 1.1))
    counts = lit * rng.uniform(130, 190) + rng.normal(0, rng.uniform(3, 6), size)
    return np.clip(counts, 0, 255).astype(np.uint8)


def paint_spots(rng: Generator, size: Size, *, dark: bool) -> Float[ndarray, "rows cols"]:
    """Paint what is no vessel: a few soft bleedings, or more and smaller bright spots; about 1 to 5 high."""
    rows, cols = np.ogrid[: size[0], : size[1]]
    spots = np.zeros(size)
    area = size[0] * size[1] / 256**2
    for _ in range(rng.poisson((5 if dark else 12) * area)):
        row, col = rng.uniform(0, size)
        sigma = rng.uniform(2, 5) if dark else rng.uniform(0.8, 2)
        spots += rng.uniform(1.5, 5) * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))
    return spots
