"""Change the spatial size of a tensor: pad, crop, resize.

No function branches on a size while a graph is exported, where a branch would be frozen as the example took it. Outside
of an export, tensors that already have the size pass without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ushape.nets.ndim import LAYERS

Space = Sequence[int]  # symbols while exporting


def is_exporting() -> bool:
    """Tell whether a graph is being recorded in which sizes must stay symbols."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def has_space(x: Tensor, space: Space) -> bool:
    """Tell whether `x` is known to have the size; never while exporting, where asking would freeze the answer."""
    return not is_exporting() and tuple(x.shape[2:]) == tuple(space)


def pad_to(
    x: Float[Tensor, "b c *space"], space: Space, mode: Literal["constant", "replicate"] = "constant"
) -> Float[Tensor, "b c *larger"]:
    """Append voxels at the end of every axis, up to the size `space`; voxel 0 stays voxel 0.

    >>> import torch
    >>> pad_to(torch.zeros(1, 8, 3, 4), (4, 6)).shape
    torch.Size([1, 8, 4, 6])
    """
    if has_space(x, space):
        return x
    missing = [want - have for want, have in zip(space, x.shape[2:], strict=True)]
    return F.pad(x, [side for count in reversed(missing) for side in (0, count)], mode=mode)


def crop_to(x: Float[Tensor, "b c *space"], space: Space, *, centred: bool) -> Float[Tensor, "b c *smaller"]:
    """Cut `space` out of the spatial axes: from the centre, or from voxel 0 on. A view, but for exported graphs.

    >>> import torch
    >>> crop_to(torch.arange(5.0).reshape(1, 1, 1, 5), (1, 3), centred=True)
    tensor([[[[1., 2., 3.]]]])
    """
    cut = take if is_exporting() else torch.narrow
    for axis, want in enumerate(space, start=2):
        start = (x.shape[axis] - want) // 2 if centred else 0
        x = cut(x, axis, start, want)
    return x


def take(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    """Do what `torch.narrow` does without asking, as a view must, whether the result is contiguous."""
    return x.index_select(axis, torch.arange(length, device=x.device) + start)


def resize_to(x: Float[Tensor, "b c *space"], space: Space) -> Float[Tensor, "b c *resized"]:
    """Interpolate linearly to the size `space`.

    >>> import torch
    >>> resize_to(torch.zeros(1, 8, 3, 4, 5), (6, 8, 9)).shape
    torch.Size([1, 8, 6, 8, 9])
    """
    if has_space(x, space):
        return x
    mode = LAYERS[x.ndim - 2].linear_mode
    return F.interpolate(x, size=list(space), mode=mode, align_corners=False)


def fit_space(space: Space, least: Sequence[int], multiple: Sequence[int]) -> list[int]:
    """Return the next size that is at least `least` and a multiple of `multiple`.

    >>> fit_space((1, 33), least=(4, 8), multiple=(1, 4))
    [4, 36]
    """
    rounded = [ceil_divide(size, step) * step for size, step in zip(space, multiple, strict=True)]
    larger: Callable[[int, int], int] = torch.sym_max  # Python's max would branch
    return [larger(size, low) for size, low in zip(rounded, least, strict=True)]


def ceil_divide(size: int, step: int) -> int:
    """Divide and round up, without negative numbers: graphs of ONNX round those to zero."""
    return (size + step - 1) // step
