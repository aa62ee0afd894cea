"""Receptive fields: how much of the image a voxel of a tensor has seen, operation by operation.

Source: Araujo et al. 2019, doi:10.23915/distill.00021, sec. 2; from the output to the image as there, but through
networks that also grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


Reach = Callable[[int], float]


@dataclass(frozen=True)
class Field:
    """What neighbouring voxels of a tensor have seen of the image.

    Where voxels are seen twice depends on where a window starts, so sizes cannot just be added up: what is kept is, per
    axis, how many voxels of the image n neighbours have seen at most; inf for all of them.
    """

    reaches: tuple[Reach, ...]

    @property
    def size(self) -> tuple[float, ...]:
        """What one voxel has seen, per axis."""
        return tuple(reach(1) for reach in self.reaches)

    def slide(self, kernel: Iterable[int], stride: Iterable[int]) -> Field:
        """Look through a window that moves by a stride.

        >>> see_itself(2).slide((3, 3), (2, 2)).slide((3, 3), (1, 1)).size
        (7.0, 7.0)
        """
        return Field(tuple(map(slide_along, self.reaches, kernel, stride)))

    def grow(self, factors: Iterable[float], neighbours: Iterable[int]) -> Field:
        """Put `factors` voxels where one was, each made of some neighbours."""
        return Field(tuple(map(grow_along, self.reaches, factors, neighbours)))

    def merge(self, other: Field) -> Field:
        """Look at two tensors of one grid."""
        return self if self is other else Field(tuple(map(merge_along, self.reaches, other.reaches)))

    def everywhere(self) -> Field:
        """Look at the whole image."""
        return Field((lambda _: math.inf,) * len(self.reaches))


def see_itself(ndim: int) -> Field:
    """Return the field of the image."""
    return Field((float,) * ndim)


def slide_along(reach: Reach, kernel: int, stride: int) -> Reach:
    """Let n voxels see what a window of them covers."""
    return cache(lambda n: reach((n - 1) * stride + kernel))


def grow_along(reach: Reach, factor: float, neighbours: int) -> Reach:
    """Let n fine voxels see the coarse ones they lie on, at the worst of all starts."""
    return cache(lambda n: reach(math.ceil((n - 1) / factor) + neighbours))


def merge_along(one: Reach, other: Reach) -> Reach:
    """Let n voxels see what they see in either tensor."""
    return cache(lambda n: max(one(n), other(n)))


Rule = Callable[[Field, Sequence[Any], Tensor], Field]


def through_convolution(field: Field, args: Sequence[Any], _: Tensor) -> Field:
    """Apply `aten.convolution`, transposed or not."""
    _, weight, _, stride, _, dilation, transposed = args[:7]
    kernel = weight.shape[2:]
    if transposed:
        return field.grow(map(float, stride), [math.ceil(size / by) for size, by in zip(kernel, stride, strict=True)])
    return field.slide([(size - 1) * by + 1 for size, by in zip(kernel, dilation, strict=True)], stride)


def through_pool(field: Field, args: Sequence[Any], _: Tensor) -> Field:
    """Apply a max or average pooling."""
    _, kernel, *rest = args
    return field.slide(kernel, rest[0] if rest and rest[0] else kernel)


def through_nearest(field: Field, args: Sequence[Any], out: Tensor) -> Field:
    """Apply a nearest interpolation."""
    return field.grow(scales(args, out), repeat(1))


def through_linear(field: Field, args: Sequence[Any], out: Tensor) -> Field:
    """Apply a linear interpolation: two neighbours along every axis that changes."""
    factors = scales(args, out)
    return field.grow(factors, [1 if factor == 1 else 2 for factor in factors])


def scales(args: Sequence[Any], out: Tensor) -> list[float]:
    """Return how many times larger the result is than the input, per axis."""
    return [new / old for new, old in zip(out.shape[2:], args[0].shape[2:], strict=True)]


def through_reduction(field: Field, args: Sequence[Any], _: Tensor) -> Field:
    """Apply a mean or maximum: over voxels it sees all, over channels no more than before."""
    axes = [axis % args[0].ndim for axis in args[1]]
    return field.everywhere() if max(axes) > 1 else field


def through_product(field: Field, *_: Any) -> Field:
    """Apply a product of batches of matrices, which only attention has: every token meets every other."""
    return field.everywhere()


def unchanged(field: Field, *_: Any) -> Field:
    """Apply what looks at no other voxel."""
    return field


RULES: dict[Any, Rule] = {
    aten.convolution: through_convolution,
    aten.max_pool2d_with_indices: through_pool,
    aten.max_pool3d_with_indices: through_pool,
    aten.avg_pool2d: through_pool,
    aten.avg_pool3d: through_pool,
    aten.upsample_nearest2d: through_nearest,
    aten.upsample_nearest3d: through_nearest,
    aten.upsample_bilinear2d: through_linear,
    aten.upsample_trilinear3d: through_linear,
    aten.mean: through_reduction,
    aten.amax: through_reduction,
    aten.bmm: through_product,
}
