"""A grid and its matrix say the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.volumes import SEEDS, random_affine

from ushape.core.case import Geometry
from ushape.core.errors import DataError

LAW = settings(max_examples=50, deadline=None)


@LAW
@given(seed=SEEDS)
def test_a_matrix_taken_apart_and_put_together_is_the_same_in_the_precision_of_files(seed: int) -> None:
    affine = random_affine(seed)
    again = Geometry.from_affine(affine).affine
    assert np.allclose(again, affine, rtol=1e-14, atol=1e-14)
    assert again.astype(np.float32).tobytes() == affine.astype(np.float32).tobytes()


@LAW
@given(seed=SEEDS)
def test_directions_are_unit_vectors_and_spacings_their_lengths(seed: int) -> None:
    affine = random_affine(seed)
    geometry = Geometry.from_affine(affine)
    assert np.allclose(np.linalg.norm(geometry.direction, axis=1), 1)
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), geometry.spacing)


@LAW
@given(seed=SEEDS, other=SEEDS, size=st.integers(1, 9))
def test_the_shift_between_grids_is_symmetric_and_zero_to_oneself(seed: int, other: int, size: int) -> None:
    first, second = (Geometry.from_affine(random_affine(s)) for s in (seed, other))
    space = (size, size + 1, size + 2)
    assert first.shift_to(first, space) == 0
    assert first.shift_to(second, space) == pytest.approx(second.shift_to(first, space))


def test_a_shift_counts_at_the_far_corner_and_in_the_smaller_voxel() -> None:
    grid = Geometry.from_affine(np.diag([4.0, 2.0, 2.0, 1.0]))
    wider = Geometry.from_affine(np.diag([4.0, 2.2, 2.0, 1.0]))
    assert grid.shift_to(wider, (5, 11, 5)) == pytest.approx(1.0)
    assert grid.shift_to(Geometry.pixels(3), (5, 11, 5)) == 0


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (np.diag([1.0, 0, 1]), "got 1 x 0 x 1"),
        (np.diag([1.0, np.nan, 1]), "voxel size above 0"),
        (np.array([[1.0, 1, 0], [0, 0, 0], [0, 0, 1]]), "singular affine"),
        (np.ones((3, 3)), "singular affine"),
    ],
)
def test_a_matrix_that_is_no_grid_is_refused(steps: np.ndarray, message: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = steps
    with pytest.raises(DataError, match=message):
        Geometry.from_affine(affine)
