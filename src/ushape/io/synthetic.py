"""Cell nuclei that never were: a seeded data set for the demo, for tests, and for learning how training behaves.

The pictures imitate wide-field fluorescence microscopy. What makes them hard for a threshold is what makes real ones
hard: uneven light, haze from out of focus, nuclei of very different brightness, debris, and cells that touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from numpy.random import Generator

from ushape.core.errors import ConfigError
from ushape.core.files import write_text
from ushape.io.outputs import write_mask, write_picture

Size = tuple[int, int]
_MIN_SIZE = 32
_PIXELS_PER_NUCLEUS = (1100, 2400)
_TRIES, _MIN_AREA = 5, 40
_FREE_SHARE = 0.8  # of a nucleus must lie on empty ground, so that neighbours touch but never hide each other
_README = """Synthetic cell nuclei, made by ushape (seed {seed}, {count} pictures of {rows}x{cols} pixels).

images/  8-bit gray, like wide-field fluorescence
masks/   0 background, 255 nucleus
"""


@dataclass(frozen=True)
class Nucleus:
    """The outline and the look of one nucleus.

    Attributes:
        row, col: its centre in pixels.
        radius: mean radius in pixels.
        stretch: long over short axis.
        angle: of the long axis, in radians.
        waves: amplitude and phase of the outline's 2nd, 3rd and 4th harmonic.
        brightness: relative to a usual nucleus.
    """

    row: float
    col: float
    radius: float
    stretch: float
    angle: float
    waves: tuple[tuple[float, float], ...]
    brightness: float

    def window(self, size: Size) -> tuple[slice, slice]:
        """Return the part of a picture that the nucleus can reach."""
        reach = 1.8 * self.radius
        ends = [(max(0, int(at - reach)), int(at + reach) + 2) for at in (self.row, self.col)]
        return slice(ends[0][0], min(ends[0][1], size[0])), slice(ends[1][0], min(ends[1][1], size[1]))


def make_nuclei(
    rng: Generator, size: Size = (256, 256)
) -> tuple[UInt8[ndarray, "rows cols"], UInt16[ndarray, "rows cols"]]:
    """Make one picture of nuclei and its truth.

    Returns:
        The picture, and its instances: 0 is background, 1..n are the nuclei.
    Raises:
        ConfigError: a side is below 32 pixels.

    >>> image, instances = make_nuclei(np.random.default_rng(0), (64, 96))
    >>> image.shape, str(image.dtype), bool(instances.max() > 0)
    ((64, 96), 'uint8', True)
    """
    if min(size) < _MIN_SIZE:
        raise ConfigError(
            f"size: expected at least {_MIN_SIZE}x{_MIN_SIZE} pixels, got {size[0]}x{size[1]}; 256x256 is usual"
        )
    instances, glow = paint_nuclei(rng, size)
    return expose(rng, glow + paint_debris(rng, size)), instances


def write_nuclei(folder: Path, *, count: int = 24, seed: int = 0, size: Size = (256, 256)) -> None:
    """Write a data set of nuclei: `images/`, `masks/` (0 and 255) and a README.

    A picture depends on the seed and its number only: a larger set begins with the smaller one's.

    Raises:
        OutputError: the folder cannot be written.
    """
    for number in range(count):
        image, instances = make_nuclei(np.random.default_rng((seed, number)), size)
        name = f"nuclei_{number:03d}.png"
        write_picture(folder / "images" / name, image)
        write_mask(folder / "masks" / name, (instances > 0).astype(np.uint8) * np.uint8(255))
    write_text(folder / "README.txt", _README.format(seed=seed, count=count, rows=size[0], cols=size[1]))


def is_synthetic(folder: Path) -> bool:
    """Tell whether a folder was written by `write_nuclei`."""
    note = folder / "README.txt"
    return note.is_file() and note.read_text(encoding="utf-8", errors="replace").startswith(_README.split("(", 1)[0])


def paint_nuclei(rng: Generator, size: Size) -> tuple[UInt16[ndarray, "rows cols"], Float[ndarray, "rows cols"]]:
    """Place nuclei, and paint how they glow: a dome with grainy chromatin and a few dark nucleoli.

    Returns:
        The instances, and the light of each pixel; a usual nucleus shines with about 1.
    """
    instances, glow = np.zeros(size, dtype=np.uint16), np.zeros(size)
    wanted = max(3, round(size[0] * size[1] / rng.uniform(*_PIXELS_PER_NUCLEUS)))
    placed: list[Nucleus] = []
    for _ in range(_TRIES * wanted):
        nucleus = draw_nucleus(rng, size, placed)
        window = nucleus.window(size)
        depth = measure_depth(nucleus, window)
        free = (depth < 1) & (instances[window] == 0)
        if len(placed) < wanted and free.sum() >= _FREE_SHARE * max((depth < 1).sum(), _MIN_AREA):
            placed.append(nucleus)
            instances[window][free] = len(placed)
            glow[window][free] = (paint_dome(nucleus, depth) * paint_nucleoli(rng, nucleus, window))[free]
    return instances, glow * (1 + 0.18 * smooth_noise(rng, size, 1.2) + 0.14 * smooth_noise(rng, size, 3.0))


def draw_nucleus(rng: Generator, size: Size, others: list[Nucleus]) -> Nucleus:
    """Draw a nucleus: anywhere, or, four times in ten, leaning against one of the others."""
    radius = float(np.clip(rng.lognormal(2.3, 0.22), 6, 18))
    row, col = rng.uniform(0, size[0]), rng.uniform(0, size[1])
    if others and rng.random() < 0.4:
        other, angle = others[rng.integers(len(others))], rng.uniform(0, 2 * np.pi)
        distance = 0.98 * (radius + other.radius)
        row, col = other.row + distance * np.sin(angle), other.col + distance * np.cos(angle)
    amplitudes, phases = rng.normal(0, (0.05, 0.035, 0.02)), rng.uniform(0, 2 * np.pi, 3)
    return Nucleus(
        row=float(np.clip(row, 0, size[0] - 1)),
        col=float(np.clip(col, 0, size[1] - 1)),
        radius=radius,
        stretch=float(rng.uniform(1, 1.7)),
        angle=float(rng.uniform(0, np.pi)),
        waves=tuple((float(a), float(p)) for a, p in zip(amplitudes, phases, strict=True)),
        brightness=float(np.clip(rng.lognormal(-0.3, 0.55), 0.26, 2.0)),
    )


def measure_depth(nucleus: Nucleus, window: tuple[slice, slice]) -> Float[ndarray, "rows cols"]:
    """Return, for each pixel, its distance from the centre in units of the outline's: below 1 is inside."""
    rows, cols = np.ogrid[window]
    dy, dx = rows - nucleus.row, cols - nucleus.col
    along = (dx * np.cos(nucleus.angle) + dy * np.sin(nucleus.angle)) / np.sqrt(nucleus.stretch)
    across = (dy * np.cos(nucleus.angle) - dx * np.sin(nucleus.angle)) * np.sqrt(nucleus.stretch)
    theta = np.arctan2(across, along)
    outline = 1 + sum(a * np.cos(k * theta + p) for k, (a, p) in enumerate(nucleus.waves, start=2))
    depth: ndarray = np.hypot(along, across) / (nucleus.radius * outline)
    return depth


def paint_dome(nucleus: Nucleus, depth: Float[ndarray, "rows cols"]) -> Float[ndarray, "rows cols"]:
    """Return the light of an even nucleus: thick in the middle, thinner towards the outline."""
    return nucleus.brightness * (0.6 + 0.4 * np.sqrt(np.clip(1 - depth**2, 0, None)))


def paint_nucleoli(rng: Generator, nucleus: Nucleus, window: tuple[slice, slice]) -> Float[ndarray, "rows cols"]:
    """Return what one to four dark spots leave of a nucleus's light."""
    rows, cols = np.ogrid[window]
    lost = np.zeros(np.broadcast_shapes(rows.shape, cols.shape))
    for _ in range(rng.integers(1, 5)):
        row, col = np.array([nucleus.row, nucleus.col]) + rng.normal(0, 0.35 * nucleus.radius, 2)
        lost += rng.uniform(0.2, 0.5) * _spot(rows - row, cols - col, rng.uniform(0.1, 0.2) * nucleus.radius)
    return np.clip(1 - lost, 0.35, 1)


def paint_debris(rng: Generator, size: Size) -> Float[ndarray, "rows cols"]:
    """Paint what is no nucleus: blurred cells above or below the focus, and small bright crumbs."""
    rows, cols = np.ogrid[: size[0], : size[1]]
    light = np.zeros(size)
    area = size[0] * size[1] / 256**2
    for _ in range(rng.poisson(5 * area)):
        at = rng.uniform(0, size)
        light += rng.uniform(0.15, 0.5) * _spot(rows - at[0], cols - at[1], rng.uniform(9, 20))
    for _ in range(rng.poisson(7 * area)):
        at = rng.uniform(0, size)
        light += rng.uniform(0.3, 1.6) * _spot(rows - at[0], cols - at[1], rng.uniform(0.7, 1.8))
    return light


def expose(rng: Generator, glow: Float[ndarray, "rows cols"]) -> UInt8[ndarray, "rows cols"]:
    """Take the picture: blur of the lens, haze, uneven lamp and background, photon and camera noise, 8 bits."""
    from scipy.ndimage import gaussian_filter

    sharp = gaussian_filter(glow, rng.uniform(0.8, 1.6))
    haze = 0.35 * gaussian_filter(glow, 14, mode="nearest")
    lamp = slope(rng, glow.shape, rng.uniform(0.3, 0.8))
    background = rng.uniform(0.05, 0.15) + rng.uniform(0.2, 0.5) * slope(rng, glow.shape, 1.0)
    photons = rng.uniform(120, 300) * lamp * (sharp + haze + background)
    counts = rng.poisson(photons) + rng.normal(0, 4, glow.shape)
    return np.clip(counts * 255 / np.percentile(counts, 99.8), 0, 255).astype(np.uint8)


def slope(rng: Generator, size: tuple[int, ...], depth: float) -> Float[ndarray, "rows cols"]:
    """Return a slow change of light over the picture, 1 at its brightest, never below `1 - depth`."""
    rows, cols = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[None]
    row, col = rng.uniform(-1, 1, 2)
    return 1 - depth * (1 - _spot(rows - row, cols - col, 1.1))


def smooth_noise(rng: Generator, size: Size, sigma: float) -> Float[ndarray, "rows cols"]:
    """Return Gaussian noise of standard deviation 1, smooth over about `sigma` pixels."""
    from scipy.ndimage import gaussian_filter

    noise: ndarray = gaussian_filter(rng.normal(size=size), sigma)
    return noise / noise.std()


def _spot(
    rows: Float[ndarray, "#rows #cols"], cols: Float[ndarray, "#rows #cols"], sigma: float
) -> Float[ndarray, "rows cols"]:
    spot: ndarray = np.exp(-(rows**2 + cols**2) / (2 * sigma**2))
    return spot
