"""The body of the phantom: which tissues it has, where they lie, and how they vary from one body to the next.

Lengths are in units of half the picture's width, positions (z, y, x) relative to its middle: z towards the head, y
towards the back, x towards the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

Vector = tuple[float, float, float]
CLASSES = ("background", "liver", "kidney", "spleen", "lesion")
"""Names of the labels, in the order of their values."""
LIVER, KIDNEY, SPLEEN, LESION = range(1, 5)

AIR, FAT, FLUID, MUSCLE, MARROW, BONE = -1000.0, -100.0, 15.0, 55.0, 200.0, 480.0
_THROUGH = 9.0  # half axis of what runs through all slices
_HEIGHT, _WIDTH = 0.66, 0.88  # half axes of the trunk


@dataclass(frozen=True)
class Blob:
    """An ellipsoid, turned by `angle` (radians) in the axial plane."""

    middle: Vector
    radii: Vector
    angle: float = 0.0

    def shrunk(self, factor: float) -> Blob:
        """Return a smaller one at the same place."""
        z, y, x = self.radii
        return Blob(self.middle, (factor * z, factor * y, factor * x), self.angle)

    def depth(self, z: ndarray, y: ndarray, x: ndarray) -> Float[ndarray, "*space"]:
        """Return a field that is above 1 inside, 1 at the surface, and falls smoothly towards 0."""
        dz, dy, dx = (axis - at for axis, at in zip((z, y, x), self.middle, strict=True))
        along = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        across = dy * np.cos(self.angle) - dx * np.sin(self.angle)
        squares = (dz / self.radii[0]) ** 2 + (across / self.radii[1]) ** 2 + (along / self.radii[2]) ** 2
        field: ndarray = np.exp(1 - np.minimum(squares, 30))
        return field


@dataclass(frozen=True)
class Part:
    """A tissue that fills the smooth union of some ellipsoids, painted over what was there before.

    Attributes:
        hu: its attenuation in Hounsfield units.
        label: the class of its voxels.
        only_on: the class on which alone it is painted, or None for anywhere.
    """

    hu: float
    blobs: tuple[Blob, ...]
    label: int = 0
    only_on: int | None = None

    def depth(self, z: ndarray, y: ndarray, x: ndarray) -> Float[ndarray, "*space"]:
        """Return the sum of the ellipsoids' fields: inside where above 1."""
        total: ndarray = np.sum([blob.depth(z, y, x) for blob in self.blobs], axis=0)
        return total


def draw_body(rng: Generator) -> list[Part]:
    """Draw a healthy body: its parts in the order in which they are painted."""
    fat = rng.uniform(0.03, 0.09)
    return [
        *_draw_trunk(fat),
        *_draw_bowel(rng),
        *_draw_stomach(rng),
        *_draw_kidneys(rng),
        *_draw_spleen(rng),
        *_draw_liver(rng),
        *_draw_spine(rng),
        *_draw_ribs(rng, fat),
    ]


def draw_lesions(rng: Generator) -> list[Part]:
    """Draw what is wrong with the liver: dark round spots, some so small that a thick slice nearly hides them."""
    hu = rng.uniform(50, 75)
    return [
        Part(hu + rng.normal(0, 4), (_near(rng, (0.05, -0.03, -0.42), (radius,) * 3, 0.16),), LESION, only_on=LIVER)
        for radius in rng.uniform(0.03, 0.1, rng.integers(3, 9)).tolist()
    ]


def _draw_trunk(fat: float) -> list[Part]:
    """Skin, fat under it, the muscles of the wall, and the fat in which the organs lie."""
    layers = ((0.0, MUSCLE), (0.012, FAT), (fat, MUSCLE), (fat + 0.05, FAT - 5))
    trunk = [Part(hu, (_column(0.0, 0.0, _HEIGHT - depth, _WIDTH - depth),)) for depth, hu in layers]
    back = [_column(0.42, side * 0.2, 0.1, 0.12) for side in (-1, 1)]
    return [*trunk, Part(MUSCLE, tuple(back))]


def _draw_liver(rng: Generator) -> list[Part]:
    """Two lobes with bright vessels through them, and the gall bladder beneath."""
    right = _near(rng, (0.1, -0.03, -0.43), (0.55, 0.36, 0.26), 0.03)
    left = _near(rng, (0.18, -0.22, -0.12), (0.3, 0.15, 0.24), 0.03)
    hu = rng.normal(105, 7)
    vessels = [_vessel(rng, right.middle) for _ in range(6)]
    return [
        Part(hu, (right, left), LIVER),
        Part(hu + rng.uniform(25, 50), tuple(vessels), LIVER, only_on=LIVER),
        Part(FLUID, (_near(rng, (-0.2, -0.2, -0.25), (0.14, 0.07, 0.06), 0.03),)),
    ]


def _draw_spleen(rng: Generator) -> list[Part]:
    return [Part(rng.normal(115, 8), (_near(rng, (0.22, 0.14, 0.55), (0.3, 0.2, 0.1), 0.03),), SPLEEN)]


def _draw_kidneys(rng: Generator) -> list[Part]:
    """A bright cortex, a darker medulla in it, and a sinus of fat that opens to the middle; beside them two vessels."""
    cortex, medulla = rng.normal(165, 15), rng.normal(120, 10)
    parts = []
    for side in (-1, 1):
        whole = _near(rng, (-0.2, 0.24, side * 0.37), (0.36, 0.13, 0.1), 0.02)
        z, y, x = whole.middle
        inner = whole.shrunk(0.6)
        sinus = Blob((z, y, x - side * 0.07), (0.12, 0.05, 0.06))
        parts += [Part(cortex, (whole,), KIDNEY), Part(medulla, (inner,), KIDNEY), Part(FAT + 30, (sinus,))]
    aorta, cava = _column(0.2, 0.06, 0.055, 0.055), _column(0.17, -0.1, 0.045, 0.065)
    return [*parts, Part(rng.normal(160, 12), (aorta,)), Part(rng.normal(125, 10), (cava,))]


def _draw_stomach(rng: Generator) -> list[Part]:
    """A wall, what was drunk, and air that rose to the front."""
    whole = _near(rng, (0.2, -0.2, 0.34), (0.3, 0.2, 0.2), 0.03)
    z, y, x = whole.middle
    inner = whole.shrunk(0.88)
    air = Blob((z, y - 0.09, x), (0.18, 0.06, 0.12))
    return [Part(MUSCLE, (whole,)), Part(FLUID, (inner,)), Part(AIR + 60, (air,))]


def _draw_bowel(rng: Generator) -> list[Part]:
    """Loops of bowel in the lower front, some of them with air."""
    parts = []
    for _ in range(rng.integers(16, 26)):
        middle = (rng.uniform(-0.8, 0.15), rng.uniform(-0.42, 0.1), rng.uniform(-0.4, 0.6))
        loop = _near(rng, middle, (0.13, 0.09, 0.12), 0.0)
        parts.append(Part(rng.uniform(25, 115), (loop,)))
        if rng.random() < 0.4:
            z, y, x = loop.middle
            parts.append(Part(AIR + 150, (Blob((z, y - 0.02, x), (0.06, 0.035, 0.06)),)))
    return parts


def _draw_spine(rng: Generator) -> list[Part]:
    """Vertebrae of dense shell and soft core, discs between them, the canal, and the processes."""
    body, core = _column(0.36, 0.0, 0.12, 0.14), _column(0.36, 0.0, 0.1, 0.12)
    processes = [_column(0.5, 0.0, 0.075, 0.025), *(_column(0.47, side * 0.13, 0.03, 0.09) for side in (-1, 1))]
    start = rng.uniform(0, 0.35)
    discs = [Blob((start + 0.35 * number, 0.36, 0.0), (0.045, 0.12, 0.14)) for number in range(-5, 5)]
    return [
        Part(BONE, (body, *processes)),
        Part(MARROW, (core,)),
        Part(MUSCLE + 30, tuple(discs)),
        Part(FLUID + 10, (_column(0.49, 0.0, 0.04, 0.055),)),
    ]


def _draw_ribs(rng: Generator, fat: float) -> list[Part]:
    """Ribs cross the slices at a slant: in each of them they are bright spots in the wall."""
    parts = []
    for side in (-1, 1):
        for turn in np.linspace(-0.7, 0.95, 6) + rng.normal(0, 0.06, 6):
            y, x = (_HEIGHT - fat - 0.03) * np.sin(turn), side * (_WIDTH - fat - 0.03) * np.cos(turn)
            rib = Blob(
                (float(rng.uniform(-0.5, 0.8)), float(y), float(x)),
                (0.3, 0.022, 0.05),
                float(side * (turn + np.pi / 2)),
            )
            parts.append(Part(BONE, (rib,)))
    return parts


def _vessel(rng: Generator, middle: Vector) -> Blob:
    """Return a thin ellipsoid through an organ, more or less across the slices."""
    at = rng.normal(middle, (0.15, 0.1, 0.08))
    long, thin = rng.uniform(0.1, 0.3), rng.uniform(0.018, 0.03)
    radii = (long, thin, thin) if rng.random() < 0.6 else (thin, thin, long)
    return Blob((float(at[0]), float(at[1]), float(at[2])), radii, float(rng.uniform(0, np.pi)))


def _near(rng: Generator, middle: Vector, radii: Vector, spread: float) -> Blob:
    """Vary an ellipsoid: its place, its size and its turn."""
    z, y, x = rng.normal(middle, spread).tolist()
    a, b, c = (np.asarray(radii) * rng.uniform(0.85, 1.15, 3)).tolist()
    return Blob((z, y, x), (a, b, c), float(rng.normal(0, 0.2)))


def _column(y: float, x: float, ry: float, rx: float) -> Blob:
    """Return an ellipse that runs through all slices."""
    return Blob((0.0, float(y), float(x)), (_THROUGH, ry, rx))
