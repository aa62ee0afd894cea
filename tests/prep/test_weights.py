"""The weights of one axis: they sum to one, keep straight lines straight, and do not alias."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from tests.prep.grids import LAW

from ushape.prep.weights import AxisWeights, Kernel, apply_weights, make_weights

KERNELS = ["nearest", "linear", "cubic", "spline"]
SIZE = st.integers(1, 150)
STEP = st.floats(0.2, 6)


def whole(weights: AxisWeights) -> np.ndarray:
    """Return the weights as one matrix over all input voxels."""
    matrix = np.zeros((len(weights.index), weights.size))
    for row, (index, weight) in enumerate(zip(weights.index, weights.weight, strict=True)):
        np.add.at(matrix[row], index, weight)
    return matrix


def places(size_in: int, size_out: int, step: float) -> np.ndarray:
    return (np.arange(size_out) - (size_out - 1) / 2) * step + (size_in - 1) / 2


@LAW
@given(SIZE, SIZE, STEP, st.sampled_from(KERNELS), st.booleans())
def test_the_weights_of_a_voxel_sum_to_one(before: int, after: int, step: float, kernel: Kernel, smooth: bool) -> None:
    weights = make_weights(before, after, step, kernel, smooth=smooth)
    assert weights.index.min() >= 0
    assert weights.index.max() < before
    assert np.allclose(weights.weight.sum(axis=1), 1, atol=1e-5)


@LAW
@given(SIZE, SIZE, STEP, st.sampled_from(["linear", "cubic", "spline"]), st.booleans())
def test_straight_lines_stay_straight_away_from_the_ends(
    before: int, after: int, step: float, kernel: Kernel, smooth: bool
) -> None:
    weights = make_weights(before, after, step, kernel, smooth=smooth)
    place = places(before, after, step)
    reach = (8 if kernel == "spline" else 3) * (max(step, 1) if smooth else 1)
    inner = (place > reach) & (place < before - 1 - reach)
    line = whole(weights) @ np.arange(before)
    assert np.allclose(line[inner], place[inner], atol=1e-3)


@LAW
@given(SIZE, SIZE, STEP)
def test_unwidened_linear_weights_interpolate(before: int, after: int, step: float) -> None:
    values = np.random.default_rng(0).random(before)
    expected = np.interp(places(before, after, step), np.arange(before), values)
    assert np.allclose(whole(make_weights(before, after, step, "linear")) @ values, expected, atol=1e-5)


def test_cubic_convolution_reproduces_parabolas() -> None:
    weights = make_weights(20, 40, 0.5, "cubic")
    place = places(20, 40, 0.5)
    assert np.allclose((whole(weights) @ np.arange(20) ** 2)[6:-6], place[6:-6] ** 2, atol=1e-3)


def test_the_spline_is_scipys() -> None:
    values = np.random.default_rng(0).random(60)
    ours = whole(make_weights(60, 150, 0.4, "spline")) @ values
    theirs = map_coordinates(values, [places(60, 150, 0.4)], order=3, mode="nearest")
    assert np.allclose(ours[30:-30], theirs[30:-30], atol=5e-4)


@LAW
@given(st.integers(8, 100), st.sampled_from(["linear", "cubic", "spline"]))
def test_what_is_too_fine_for_the_new_grid_is_averaged_away(size: int, kernel: Kernel) -> None:
    stripes = (-1.0) ** np.arange(4 * size)
    smooth = whole(make_weights(4 * size, size, 4.0, kernel, smooth=True)) @ stripes
    aliased = whole(make_weights(4 * size, size, 3.0, "nearest")) @ stripes
    assert np.abs(smooth[3:-3]).max(initial=0) < 0.1
    assert np.abs(aliased).max() == 1


def test_nearest_takes_one_voxel() -> None:
    weights = make_weights(4, 2, 2.0, "nearest")
    assert weights.index.tolist() == [[1], [3]]


@LAW
@given(SIZE, SIZE, STEP, st.sampled_from(KERNELS), st.booleans(), st.data())
def test_parts_are_cut_out_of_the_whole(
    before: int, after: int, step: float, kernel: Kernel, smooth: bool, data: st.DataObject
) -> None:
    weights = make_weights(before, after, step, kernel, smooth=smooth)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, before - 1), st.integers(1, before))))
    stop = max(stop, start + 1)
    outputs = weights.outputs(start, stop)
    matrix = whole(weights)
    assert np.allclose(whole(weights.part(outputs, (start, stop))), matrix[slice(*outputs), start:stop], atol=1e-6)
    rest = np.delete(matrix, np.arange(*outputs), axis=0)
    assert not rest[:, start:stop].any()
    columns, block = weights.dense(0, after)
    assert np.allclose(block, matrix[:, columns], atol=1e-6)


@LAW
@given(st.integers(1, 130), st.integers(1, 130), STEP, st.integers(0, 2), st.sampled_from(KERNELS))
def test_any_axis_of_an_array_is_resampled(before: int, after: int, step: float, axis: int, kernel: Kernel) -> None:
    weights = make_weights(before, after, step, kernel, smooth=True)
    array = np.random.default_rng(0).random(tuple(before if each == axis else 3 + each for each in range(3)))
    expected = np.moveaxis(np.tensordot(whole(weights), array, (1, axis)), 0, axis)
    assert np.allclose(apply_weights(array, weights, axis), expected, atol=1e-5)
