"""How tensors lie in memory: channels-last has one name per number of axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CHANNELS_LAST: dict[int, Any] = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes of a batch."""


def memory_format(image: Tensor, channels_last: bool) -> Any:
    """Name the memory layout of a batch."""
    return CHANNELS_LAST[image.ndim] if channels_last else torch.contiguous_format


def lay_out_images(batch: Tensor, *, channels_last: bool) -> Tensor:
    """Return a batch in a layout by which convolutions choose theirs.

    `contiguous` does not do for one channel: torch takes both layouts to be the same there, and leaves the strides.

    >>> lay_out_images(torch.zeros(1, 1, 4, 5), channels_last=True).stride()
    (20, 1, 5, 1)
    """
    if not channels_last:
        return batch.contiguous()
    return torch.empty_like(batch, memory_format=CHANNELS_LAST[batch.ndim]).copy_(batch)


def lay_out(net: nn.Module, ndim: int) -> nn.Module:
    """Bring the weights of a net for images of `ndim` axes into channels-last layout, in place."""
    return net.to(memory_format=CHANNELS_LAST[ndim + 2])  # type: ignore[call-overload]  # torch's stubs lack it


def layout_name(*, channels_last: bool) -> str:
    """Name a layout as the recipe does."""
    return "channels_last" if channels_last else "contiguous"
