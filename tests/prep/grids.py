"""Grids and cases for the laws of preparation: every orientation, anisotropic, oblique, 2D and 3D."""

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from ushape.core.case import Case, Geometry
from ushape.prep.geometry import to_world

LAW = settings(max_examples=60, deadline=None)
"""How often a law is tried; a busy machine breaks none."""
ORIENTATIONS = [
    (axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
"""For each array axis the world axis it runs along, and whether forwards: all 48."""
SMALL_TURN = 0.5
"""Radians: together less than what would bring another axis nearer."""
SPACINGS = (0.4, 0.5, 0.77, 1.0, 1.25, 2.0, 3.3, 5.0)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    """Turn about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def oriented(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, ...] = (3.0, 1.0, 0.5),
    *,
    origin: tuple[float, ...] = (-10.0, 20.0, 5.0),
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """Make the geometry of a volume that lies in one of the 48 orientations, turned by some angles."""
    axes, signs = orientation
    direction = np.eye(3)[list(axes)] * np.asarray(signs)[:, None] @ rotation(angles).T
    return Geometry(spacing, "mm", origin, tuple(tuple(map(float, row)) for row in direction))


def flat(spacing: tuple[float, float], angle: float = 0.0) -> Geometry:
    """Make the geometry of a flat image in mm, turned by an angle."""
    sine, cosine = float(np.sin(angle)), float(np.cos(angle))
    return Geometry(spacing, "mm", (4.0, -7.0), ((cosine, sine), (-sine, cosine)))


@dataclass(frozen=True)
class Plan:
    """What a drawn case is like; made outside the strategy, where checked code may run."""

    ndim: int
    orientation: tuple[tuple[int, ...], tuple[int, ...]]
    spacing: tuple[float, float, float]
    angles: tuple[float, float, float]
    sizes: tuple[int, int, int]
    margin: int

    @property
    def space(self) -> tuple[int, ...]:
        return self.sizes[: self.ndim]

    @property
    def geometry(self) -> Geometry:
        if self.ndim == 2:
            return flat(self.spacing[:2], self.angles[0])
        return oriented(self.orientation, self.spacing, angles=self.angles)

    def case(self) -> Case:
        """Make a case with a margin of zeros, numbered voxels and a label of three classes and ignored voxels."""
        image = np.zeros((2, *self.space), dtype=np.int16)
        inner = (slice(None), *(slice(min(self.margin, size - 1), None) for size in self.space))
        image[inner] = 1 + np.arange(image[inner].size).reshape(image[inner].shape)
        label = np.random.default_rng(sum(self.sizes)).integers(-1, 3, self.space).astype(np.int16)
        return Case("case", image, self.geometry, label)


def plans(*dimensions: int, largest: int = 9) -> st.SearchStrategy[Plan]:
    """Draw cases of any size, spacing, orientation and obliqueness."""
    spacing, angle, size = st.sampled_from(SPACINGS), st.floats(-SMALL_TURN, SMALL_TURN), st.integers(1, largest)
    return st.builds(
        Plan,
        ndim=st.sampled_from(dimensions or (2, 3)),
        orientation=st.sampled_from(ORIENTATIONS),
        spacing=st.tuples(spacing, spacing, spacing),
        angles=st.tuples(angle, angle, angle),
        sizes=st.tuples(size, size, size),
        margin=st.integers(0, 2),
    )


def positions(geometry: Geometry, space: tuple[int, ...]) -> np.ndarray:
    """Return where every voxel of a grid lies, (*space, world axes)."""
    return to_world(geometry, np.moveaxis(np.indices(space), 0, -1))


def places(case: Case) -> dict[int, np.ndarray]:
    """Return where each numbered voxel of a case's first channel lies in the world."""
    numbers = np.asarray(case.image)[0]
    found = numbers > 0
    return dict(zip(numbers[found].tolist(), positions(case.geometry, case.space)[found], strict=True))


def one_hot(label: np.ndarray, classes: int) -> np.ndarray:
    """Turn class indices into probabilities."""
    return np.stack([label == index for index in range(classes)]).astype(np.float32)
