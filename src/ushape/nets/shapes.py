"""What torch's meta device would import its compiler for, though it is plain: the shapes of everyday operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class ShapesOnly(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answer with shapes; what is not known here is left to torch, which is right as well, a second later."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch not to import its compiler to leave this class out either."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        return SHAPES.get(func, func)(*args, **(kwargs or {}))


def _itself(x: Tensor, *_: object, **__: object) -> Tensor:
    """Give a tensor that is changed in place; it has no numbers to be changed."""
    return x


def _alike(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x)


def _broadcast(x: Tensor, other: Tensor | float) -> Tensor:
    shape = other.shape if isinstance(other, Tensor) else ()
    return x.new_empty(torch.broadcast_shapes(x.shape, shape))  # type: ignore[no-untyped-call]


def _joined(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    size = list(tensors[0].shape)
    size[axis] = sum(each.shape[axis] for each in tensors)
    return tensors[0].new_empty(size)


def _resized(x: Tensor, size: Sequence[int], *_: object) -> Tensor:
    return x.new_empty((*x.shape[:2], *size))


def _normed(x: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    """Give the result of a batch norm, and the mean and deviation of each channel that it keeps."""
    return torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


SHAPES: Mapping[Any, Callable[..., Any]] = {
    **dict.fromkeys((aten.normal_.default, aten.uniform_.default, aten.leaky_relu_.default), _itself),
    **dict.fromkeys((aten.relu.default, aten.leaky_relu.default, aten.gelu.default), _alike),
    **dict.fromkeys((aten.add.Tensor, aten.mul.Tensor), _broadcast),
    **dict.fromkeys((aten.upsample_bilinear2d.default, aten.upsample_trilinear3d.default), _resized),
    aten.cat.default: _joined,
    aten.native_batch_norm.default: _normed,
}
