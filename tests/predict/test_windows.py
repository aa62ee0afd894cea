"""Laws of sliding windows: they cover, they blend to one, and they agree with the whole image."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ushape.core.grid import cut_mirrored
from ushape.predict.layout import blend_profile, window_starts
from ushape.predict.torch_engine import TorchEngine
from ushape.predict.windows import WindowConfig, predict_windows

SIZES = st.integers(1, 40)
WINDOWS = st.integers(1, 16)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.95])


class Says:
    """An engine that says the same of every voxel, or the value of its first channel."""

    def __init__(
        self,
        margin: tuple[int, ...] = (),
        *,
        constant: float | None = None,
        window: tuple[int, ...] = (),
        classes: int = 2,
    ) -> None:
        self.classes, self.margin, self.constant, self.window = classes, margin, constant, window
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        self.seen.append(windows.shape)
        inner = tuple(slice(m, size - m) for m, size in zip(self.margin, windows.shape[2:], strict=False))
        first = windows[(slice(None), 0, *inner)] if inner else windows[:, 0]
        foreground = first if self.constant is None else np.full_like(first, self.constant)
        return np.stack([1 - foreground, *[foreground] * (self.classes - 1)], axis=1)


def conv_net(*, padding: int, kernel: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, kernel, padding=padding, padding_mode="zeros"),
        nn.Tanh(),
        nn.Conv2d(4, 2, kernel, padding=padding, padding_mode="zeros"),
    )


def noise(*space: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(1, *space)).astype(np.float32)


@given(size=SIZES, length=WINDOWS, overlap=OVERLAPS)
def test_windows_cover_every_voxel_and_overlap_as_asked(size: int, length: int, overlap: float) -> None:
    starts = window_starts(size, length, overlap)
    covered = {voxel for start in starts for voxel in range(start, start + length)}
    assert covered >= set(range(size))
    assert starts == sorted(set(starts))
    steps = np.diff(starts)
    assert (steps <= max(round(length * (1 - overlap) + 0.5), 1)).all()


@given(rows=SIZES, cols=SIZES, window=st.tuples(WINDOWS, WINDOWS), overlap=OVERLAPS, batch=st.integers(1, 5))
@settings(max_examples=60)
def test_probabilities_sum_to_one_and_come_from_their_own_voxel_at_any_size(
    rows: int, cols: int, window: tuple[int, int], overlap: float, batch: int
) -> None:
    image = np.random.default_rng(0).random((1, rows, cols), dtype=np.float32)
    config = WindowConfig(size=window, overlap=overlap, batch=batch)
    probabilities = predict_windows(image, Says(), config)
    assert probabilities.shape == (2, rows, cols)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities[1], image[0], atol=1e-5)


@given(rows=SIZES, cols=SIZES, margin=st.tuples(st.integers(0, 3), st.integers(0, 3)))
@settings(max_examples=40)
def test_an_engine_with_a_margin_covers_every_voxel_too(rows: int, cols: int, margin: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((1, rows, cols), dtype=np.float32)
    probabilities = predict_windows(image, Says(margin), WindowConfig(size=(10, 9)))
    np.testing.assert_allclose(probabilities[1], image[0], atol=1e-5)


@pytest.mark.parametrize("space", [(3, 30), (11, 9), (40, 8)])
def test_an_engine_of_one_window_size_sees_no_other(space: tuple[int, int]) -> None:
    engine = Says(window=(8, 12))
    image = noise(*space)
    probabilities = predict_windows(image, engine, WindowConfig(size=(20, 20)))
    assert {shape[2:] for shape in engine.seen} == {(8, 12)}
    np.testing.assert_allclose(probabilities[1], image[0], atol=1e-5)


def test_a_volume_is_covered_as_well() -> None:
    image = np.random.default_rng(0).random((1, 5, 17, 9), dtype=np.float32)
    probabilities = predict_windows(image, Says(), WindowConfig(size=(4, 8, 8), batch=3))
    np.testing.assert_allclose(probabilities[1], image[0], atol=1e-5)


def test_an_image_of_one_window_gets_one_plain_forward_pass() -> None:
    net = conv_net(padding=2)
    image = noise(24, 30)
    engine = TorchEngine(net, 2)
    probabilities = predict_windows(image, engine, WindowConfig(size=(24, 24)))
    with torch.inference_mode():
        expected = torch.softmax(net(torch.from_numpy(image)[None]), dim=1)[0].numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_windows_of_a_translation_equivariant_net_agree_with_the_whole_image_away_from_borders() -> None:
    engine = TorchEngine(conv_net(padding=2, kernel=5), 2)
    image = noise(48, 64)
    whole = predict_windows(image, engine, WindowConfig(size=(48, 64)))
    for size, overlap in [((24, 24), 0.5), ((20, 28), 0.75)]:
        tiled = predict_windows(image, Cropped(engine, 4), WindowConfig(size=size, overlap=overlap))
        np.testing.assert_allclose(tiled[:, 4:-4, 4:-4], whole[:, 4:-4, 4:-4], atol=1e-5)


class Cropped:
    """An engine whose border, within reach of its zero padding, is not used."""

    def __init__(self, engine: TorchEngine, reach: int) -> None:
        self.engine, self.reach = engine, reach
        self.classes, self.margin, self.window = engine.classes, (reach, reach), engine.window

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        inner = slice(self.reach, -self.reach)
        return self.engine(windows)[:, :, inner, inner]


@pytest.mark.parametrize("space", [(40, 52), (7, 90), (33, 33)])
def test_unpadded_convolutions_see_the_image_mirrored_at_its_borders(space: tuple[int, int]) -> None:
    net = conv_net(padding=0)
    image = noise(*space)
    tiled = predict_windows(image, TorchEngine(net, 2, margin=(4, 4)), WindowConfig(size=(24, 24), batch=2))
    mirrored = cut_mirrored(image, (-4, -4), (space[0] + 8, space[1] + 8))
    with torch.inference_mode():
        whole = torch.softmax(net(torch.from_numpy(np.ascontiguousarray(mirrored))[None]), dim=1)[0].numpy()
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_batch_of_windows_gives_what_they_give_one_by_one() -> None:
    engine = TorchEngine(conv_net(padding=2), 2)
    image = noise(50, 70)
    one, many = (predict_windows(image, engine, WindowConfig(size=(24, 24), batch=batch)) for batch in (1, 7))
    np.testing.assert_allclose(many, one, atol=1e-6)


def test_no_pass_is_larger_than_a_batch_of_windows() -> None:
    engine = Says()
    predict_windows(noise(100, 100), engine, WindowConfig(size=(32, 32), batch=3))
    assert {shape[1:] for shape in engine.seen} == {(1, 32, 32)}
    assert max(shape[0] for shape in engine.seen) == 3


@pytest.mark.parametrize("margin", [(), (4, 4)])
def test_memory_is_bounded_by_the_output_and_a_batch_and_no_padded_copy_is_made(margin: tuple[int, ...]) -> None:
    image = np.zeros((8, 600, 600), dtype=np.float32)
    output = 2 * 600 * 600 * 4
    tracemalloc.start()
    predict_windows(image, Says(margin, constant=0.5), WindowConfig(size=(64, 64)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * output < image.nbytes


def test_the_image_may_be_a_memory_map_and_stays_as_it_is(tmp_path) -> None:  # type: ignore[no-untyped-def]
    values = np.random.default_rng(0).random((1, 50, 50), dtype=np.float32)
    np.save(tmp_path / "image.npy", values)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    np.testing.assert_allclose(predict_windows(mapped, Says(), WindowConfig(size=(16, 16)))[1], values[0], atol=1e-5)
    np.testing.assert_array_equal(mapped, values)


@given(length=st.integers(1, 300))
def test_the_weights_of_a_window_are_symmetric_positive_and_highest_in_its_middle(length: int) -> None:
    profile = blend_profile(length)
    np.testing.assert_allclose(profile, profile[::-1], rtol=1e-6)
    assert profile.min() >= 1e-3
    assert profile.argmax() in ((length - 1) // 2, length // 2)
