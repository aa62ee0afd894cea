"""Padding, cropping and resizing."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ushape.nets.grid import ceil_divide, crop_to, fit_space, pad_to, resize_to, take

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(SIZES, SIZES)
def test_cropping_undoes_padding(size: tuple[int, int], more: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *size)
    larger = tuple(have + extra for have, extra in zip(size, more, strict=True))
    for mode in ("constant", "replicate"):
        assert torch.equal(crop_to(pad_to(x, larger, mode), size, centred=False), x)


def test_replicated_padding_repeats_the_last_voxel() -> None:
    assert pad_to(torch.tensor([[[[1.0, 2.0]]]]), (1, 4), "replicate").flatten().tolist() == [1, 2, 2, 2]


def test_a_tensor_of_the_right_size_is_not_copied() -> None:
    x = torch.zeros(1, 1, 3, 4)
    assert pad_to(x, (3, 4)) is x
    assert resize_to(x, (3, 4)) is x


def test_a_centred_crop_leaves_the_odd_voxel_at_the_end() -> None:
    assert crop_to(torch.arange(6.0).reshape(1, 1, 1, 6), (1, 3), centred=True).flatten().tolist() == [1, 2, 3]


def test_resizing_is_linear_interpolation_without_aligned_corners() -> None:
    x = torch.randn(1, 2, 4, 5)
    assert torch.equal(resize_to(x, (7, 3)), F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=False))


def test_the_exportable_crop_is_a_narrow() -> None:
    x = torch.randn(1, 1, 6, 7)
    assert torch.equal(take(x, 3, 2, 4), x.narrow(3, 2, 4))


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 16))
def test_a_fitted_size_is_the_smallest_multiple_that_is_large_enough(size: int, factor: int, step: int) -> None:
    least = factor * step
    (got,) = fit_space((size,), (least,), (step,))
    assert got == max(least, next(n for n in range(size, size + step) if n % step == 0))


@given(st.integers(1, 1000), st.integers(1, 50))
def test_division_rounds_up(size: int, step: int) -> None:
    assert ceil_divide(size, step) == -(-size // step)
