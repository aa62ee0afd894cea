"""Laws of prediction slab by slab: the same as all at once, in memory that the window bounds."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.predict.test_windows import Says

from ushape.core.case import Case, Geometry
from ushape.predict.compose import OnceIfConstant
from ushape.predict.layout import Axis, blend_profile, window_starts
from ushape.predict.predictor import PredictConfig, decide, decide_prepared, predict_case, predict_label
from ushape.predict.rows import Rows
from ushape.predict.windows import WindowConfig, predict_windows, stream_windows
from ushape.prep.pipeline import Pipeline, PrepConfig


class Position:
    """An engine of several classes whose answer depends on the place in the window: blending matters."""

    def __init__(self, classes: int = 3, window: tuple[int, ...] = ()) -> None:
        self.classes, self.window = classes, window
        self.margin: tuple[int, ...] = ()

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        ramps = [
            np.arange(size).reshape([-1 if i == axis else 1 for i in range(windows.ndim - 2)])
            for axis, size in enumerate(windows.shape[2:])
        ]
        phase = windows[:, 0] + sum(0.3 * (axis + 1) * ramp for axis, ramp in enumerate(ramps))
        scores = np.stack([2 + np.sin((k + 1) * phase) for k in range(self.classes)], axis=1).astype(np.float32)
        return scores / scores.sum(axis=1, keepdims=True)


def noise(*space: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, *space)).astype(np.float32)


def blend_by_hand(image: np.ndarray, engine: Position, config: WindowConfig) -> np.ndarray:
    """The definition, with a full sum and a full weight, for images larger than a window and a half."""
    space = image.shape[1:]
    total, weight = np.zeros((engine.classes, *space)), np.zeros(space)
    profile = np.ones(())
    for length in config.size:
        profile = np.multiply.outer(profile, blend_profile(length).astype(float))
    for corner in itertools.product(*map(window_starts, space, config.size, [config.overlap] * len(space))):
        box = tuple(slice(low, low + length) for low, length in zip(corner, config.size, strict=True))
        total[(slice(None), *box)] += profile * engine(image[(slice(None), *box)][None])[0]
        weight[box] += profile
    return total / weight


@pytest.mark.parametrize(("space", "size"), [((40, 33), (8, 12)), ((21, 30, 17), (8, 6, 10))])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("slab_bytes", [math.inf, 4000.0, 1.0])
def test_however_planes_are_cut_the_blend_is_that_of_the_definition(
    space: tuple[int, ...], size: tuple[int, ...], overlap: float, slab_bytes: float
) -> None:
    image, config = noise(*space), WindowConfig(size=size, overlap=overlap, batch=3)
    found, times = np.zeros((3, *space), dtype=np.float32), np.zeros(space, dtype=int)
    for region, part in stream_windows(image, Position(), config, slab_bytes=slab_bytes):
        found[(slice(None), *region)] = part
        times[region] += 1
    assert (times == 1).all()
    np.testing.assert_allclose(found, blend_by_hand(image, Position(), config), atol=2e-6)


@given(st.tuples(*[st.integers(1, 30)] * 2), st.tuples(*[st.integers(1, 16)] * 2), st.booleans())
@settings(max_examples=40)
def test_the_label_decided_in_slabs_is_that_of_all_probabilities(
    space: tuple[int, int], size: tuple[int, int], is_fixed: bool
) -> None:
    engine = Position(5, window=size if is_fixed else ())
    config = PredictConfig(window=WindowConfig(size=size, batch=2))
    image = noise(*space)
    expected = predict_windows(image, engine, config.window).argmax(axis=0)
    np.testing.assert_array_equal(decide_prepared(image, engine, config), expected)


GEOMETRY = Geometry((2.0, 1.0, 1.5), "mm", (3.0, 4.0, 5.0), ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))
PREPS = {
    "as it is": {},
    "turned and cropped": {"orientation": "canonical", "crop": "nonzero"},
    "padded": {"fit": {"size": (30, 30, 12)}},
    "resampled": {"orientation": "canonical", "crop": "nonzero", "resample": {"spacing": (1.2, 1.2, 1.2)}},
    "coarser": {"resample": {"spacing": (4.0, 2.0, 3.0)}},
    "resampled and padded": {"resample": {"spacing": (1.0, 1.0, 1.0)}, "fit": {"size": (50, 20, 40)}},
}


@pytest.mark.parametrize("prep", PREPS)
@pytest.mark.parametrize("threshold", ["argmax", 0.4])
def test_the_label_alone_is_the_label_beside_the_probabilities(prep: str, threshold: str | float) -> None:
    image = noise(22, 24, 26)
    image[:, :3] = image[..., 20:] = 0
    case = Case("scan", image, GEOMETRY)
    pipeline = Pipeline(PrepConfig.model_validate(PREPS[prep]))
    engine = Position(4 if threshold == "argmax" else 2)
    config = PredictConfig(window=WindowConfig(size=(8, 8, 8), overlap=0.25), threshold=threshold)
    whole, alone = predict_case(case, pipeline, engine, config), predict_label(case, pipeline, engine, config)
    np.testing.assert_array_equal(alone.label, whole.label)
    assert alone.probabilities is None
    assert alone.label.shape == case.space


def test_a_label_of_many_classes_needs_a_slab_of_memory_and_no_more() -> None:
    image, config = np.zeros((1, 96, 64, 64), np.float32), PredictConfig(window=WindowConfig(size=(16, 16, 16)))
    image[:, ::7] = 1  # no window is constant
    slab, whole = 20 * 16 * 64 * 64 * 4, 20 * 96 * 64 * 64 * 4
    tracemalloc.start()
    decide_prepared(image, Says(constant=0.05, classes=20), config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.6 * slab < whole / 3


def test_ties_go_to_the_lowest_class() -> None:
    assert decide(np.full((4, 3), 0.25, dtype=np.float32), "argmax").tolist() == [0, 0, 0]


def test_a_constant_window_is_predicted_once() -> None:
    image = np.zeros((1, 64, 64), dtype=np.float32)
    image[:, 20:30, 20:30] = noise(10, 10)
    counting, plain = Says(), Says()
    config = WindowConfig(size=(8, 8), overlap=0.0, batch=4)
    found = predict_windows(image, counting, config)
    np.testing.assert_allclose(found[1], image[0], atol=1e-6)
    predict_windows(noise(64, 64), plain, config)
    seen, every = (sum(shape[0] for shape in engine.seen) for engine in (counting, plain))
    assert every == 64
    assert seen == 4 + 1  # the windows that hold the noise, and one of zeros


def test_windows_of_other_constants_and_shapes_are_told_apart() -> None:
    engine = OnceIfConstant(Position(2))
    rng = np.random.default_rng(0)
    batch = np.stack([np.full((2, 4, 4), 1.0), rng.random((2, 4, 4)), np.full((2, 4, 4), 3.0), np.full((2, 4, 4), 1.0)])
    batch[2, 1] = 5.0  # each channel has its own constant
    for each in (batch, batch[:, :, :3], batch[::-1]):
        windows = np.ascontiguousarray(each, dtype=np.float32)
        np.testing.assert_array_equal(engine(windows), Position(2)(windows))


def test_rows_are_cut_forwards_only() -> None:
    whole = noise(10, 3)
    parts = (((slice(i, i + 3), slice(0, 3)), whole[:, i : i + 3]) for i in range(0, 10, 3))
    rows = Rows(parts, whole.shape)
    for start, stop in [(0, 2), (0, 5), (4, 9), (9, 12)]:
        np.testing.assert_array_equal(rows[:, start:stop], whole[:, start:stop])
    with pytest.raises(IndexError, match="rows from 3 on were asked for after those from 9 on"):
        rows[:, 3:4]


@pytest.mark.parametrize("count", [1, 2, 3, 9, 50])
def test_an_axis_is_cut_where_windows_begin_and_no_voxel_is_left_out(count: int) -> None:
    axis = Axis(100, 20, 0, window_starts(100, 20, 0.5))
    cuts = axis.cuts(count)
    assert [voxel for cut in cuts for voxel in range(cut.start, cut.stop)] == list(range(100))
    assert {cut.start for cut in cuts} <= set(axis.starts)
    assert len(cuts) == min(count, len(axis.starts))
