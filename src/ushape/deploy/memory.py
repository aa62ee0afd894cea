"""The memory that one pass through a net needs at its peak, without running it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet


def peak_bytes(config: UNetConfig, space: Sequence[int]) -> int:
    """Return the bytes of weights and activations alive at the peak of predicting one window in float32.

    Torch's own scratch memory is left out.

    >>> peak_bytes(UNetConfig(widths=(4, 8)), (16, 16)) > 4 * 8 * 16 * 16
    True
    """
    with torch.device("meta"), torch.no_grad():
        net = UNet(config).eval()
        image = torch.zeros(1, config.in_channels, *space)
        weights = sum(each.untyped_storage().nbytes() for each in (*net.parameters(), *net.buffers()))
        with Watcher() as watcher:
            net(image)
    return weights + image.untyped_storage().nbytes() + watcher.peak


class Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of tensors that live, and the most there were at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive, self.peak = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        for result in out if isinstance(out, (list, tuple)) else [out]:
            if isinstance(result, Tensor) and not result._is_view():  # noqa: SLF001 - the only way to ask
                self._add(result)
        return out

    def _add(self, tensor: Tensor) -> None:
        size = tensor.untyped_storage().nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(tensor, self._remove, size)

    def _remove(self, size: int) -> None:
        self.alive -= size
