"""A box cut with mirrored surroundings is what numpy's reflect padding gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.grid import cut_mirrored


@given(st.integers(2, 9), st.integers(2, 9), st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 15))
def test_a_box_outside_the_image_mirrors_it(rows: int, cols: int, top: int, left: int, length: int) -> None:
    image = np.arange(2 * rows * cols).reshape(2, rows, cols)
    padded = np.pad(image, ((0, 0), (40, 40), (40, 40)), mode="reflect")
    expected = padded[:, 40 + top : 40 + top + length, 40 + left : 40 + left + length]
    assert np.array_equal(cut_mirrored(image, (top, left), (length, length)), expected)


def test_an_axis_of_one_voxel_is_repeated() -> None:
    assert cut_mirrored(np.array([[7]]), (-2, 0), (4, 3)).tolist() == [[7, 7, 7]] * 4


def test_only_the_part_inside_is_read() -> None:
    class Spy:
        shape, dtype = (1, 100, 100), np.dtype(float)

        def __getitem__(self, key: tuple) -> np.ndarray:
            self.key = key
            return np.zeros((1, *(part.stop - part.start for part in key[1:])))

    spy = Spy()
    cut_mirrored(spy, (-3, 10), (20, 20))
    assert spy.key == (..., slice(0, 17), slice(10, 30))
