"""The memory that a network needs at its peak, for a training step or a prediction, without running it.

The network runs on fake tensors: they have shapes, layouts and lifetimes, and no values.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode

from ushape.core.layout import lay_out_images
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet

Run = Callable[[UNet, Tensor], Tensor]
"""What is done with a network and a batch of images, (b, channels, *space): it ends in a loss."""
Workspace = Callable[[Sequence[Any], Sequence[Any]], int]
"""Bytes that an operation takes for itself, from its arguments and its results."""


@dataclass(frozen=True)
class Numerics:
    """How a network computes.

    Attributes:
        device: "cpu", where convolutions take workspaces and the C library holds what is freed; all others count as a
            GPU. Tensors are made as on a CPU, since torch has to see a GPU even to make them there without values.
        autocast: what convolutions compute in; None for float32.
    """

    device: str = "cpu"
    autocast: torch.dtype | None = None
    channels_last: bool = False


@dataclass(frozen=True)
class Peak:
    """The bytes of tensors at the moment when there are most of them.

    Attributes:
        lasting: of weights, and what optimiser and average keep.
        passing: of all else, the workspaces of convolutions included.
        holes: share of `passing` that the C library has got back and holds between blocks in use; 0 on a GPU.
    """

    lasting: int
    passing: int
    holes: float

    @property
    def tensors(self) -> int:
        """All bytes that are in use."""
        return self.lasting + self.passing

    @property
    def total(self) -> int:
        """All bytes that are taken: on a CPU also those that the C library has got back and holds.

        >>> Peak(lasting=100, passing=200, holes=0.1).total, Peak(lasting=100, passing=200, holes=0.0).total
        (420, 300)
        """
        top = min(HEAP_TOP, self.passing // 2) if self.holes else 0
        return self.tensors + top + round(self.passing * self.holes)


HEAP_TOP = 64 * 2**20
"""Freed memory that glibc keeps at the end of its heap: twice the 32 MiB from which blocks are mapped one by one."""
HOLES = {False: 0.18, True: 0.1}
"""Whether the channels lie last to the share of holes, as benchmarks/memory.py finds it: workspaces leave more."""


@dataclass(frozen=True)
class Upkeep:
    """What a training keeps beside weights and gradients.

    Attributes:
        copies: numbers that optimiser and average keep for each trained weight.
        accumulates: whether gradients of several steps are added up, so that the old ones stay during a step.
    """

    copies: int = 2
    accumulates: bool = False


def cheapest_loss(net: UNet, image: Tensor) -> Tensor:
    """Return a loss that costs next to nothing, for what a network needs by itself."""
    logits = net(image)
    levels = logits if isinstance(logits, list) else [logits]
    return torch.stack([level.float().mean() for level in levels]).sum()


def step_peak(config: UNetConfig, shape: Sequence[int], run: Run, numerics: Numerics, upkeep: Upkeep) -> Peak:
    """Find the peak of a training step.

    It is not the first step: gradients of the step before stay until the loss is known, as under lightning.

    Args:
        shape: (b, channels, *space) of the batch.
        run: returns the loss.
    Raises:
        ShapeError: the network does not take this size.

    >>> net, usual = UNetConfig(widths=(4, 8)), (Numerics(), Upkeep())
    >>> one, four = (step_peak(net, (batch, 1, 64, 64), cheapest_loss, *usual).tensors for batch in (1, 4))
    >>> one < four < 4 * one
    True
    """
    with watch_memory(numerics) as watcher:
        net = _make(config)
        trained = [weight for weight in net.parameters() if weight.requires_grad]
        kept = [torch.zeros_like(weight) for weight in trained for _ in range(upkeep.copies)]
        lasting, image = watcher.alive, _make_images(shape, numerics)
        for weight in trained:
            weight.grad = torch.zeros_like(weight)
        with _autocast(numerics):
            loss = run(net.train(), image)
        if not upkeep.accumulates:
            net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        del loss, kept
    return make_peak(lasting, watcher.peak, numerics)


def prediction_peak(
    config: UNetConfig, shape: Sequence[int], run: Callable[[UNet, Tensor], object], numerics: Numerics
) -> Peak:
    """Find the peak of one pass through a network that is not trained.

    Raises:
        ShapeError: the network does not take this size.

    >>> peak = prediction_peak(UNetConfig(widths=(4, 8)), (1, 1, 16, 16), UNet.forward, Numerics())
    >>> peak.tensors > 4 * 8 * 16 * 16
    True
    """
    with watch_memory(numerics) as watcher, torch.inference_mode():
        net = _make(config)
        lasting, image = watcher.alive, _make_images(shape, numerics)
        with _autocast(numerics):
            out = run(net.eval(), image)
        del out
    return make_peak(lasting, watcher.peak, numerics)


def make_peak(lasting: int, peak: int, numerics: Numerics) -> Peak:
    """Put a peak together from what was counted."""
    return Peak(lasting, peak - lasting, HOLES[numerics.channels_last] if numerics.device == "cpu" else 0.0)


def _make(config: UNetConfig) -> UNet:
    """Build a network of fake tensors; its weights are never drawn, since that looks at their values."""
    with torch.device("meta"), unset_fake_temporarily():
        net = UNet(config)
    for module in net.modules():
        for name, weight in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(weight.shape), requires_grad=weight.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))
    return net


def _make_images(shape: Sequence[int], numerics: Numerics) -> Tensor:
    return lay_out_images(torch.zeros(*shape), channels_last=numerics.channels_last)


def _autocast(numerics: Numerics) -> torch.autocast:
    return torch.autocast("cpu", numerics.autocast, enabled=numerics.autocast is not None)


@contextmanager
def watch_memory(numerics: Numerics) -> Iterator[Watcher]:
    """Let tensors be made without memory within the block, and count what they would take."""
    watcher = Watcher(WORKSPACES if numerics.device == "cpu" else {})
    with torch.random.fork_rng(devices=[]), FakeTensorMode(), watcher:
        yield watcher


class Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of storages that live, and the most there were at once.

    Attributes:
        peak: workspaces included.
    """

    def __init__(self, workspaces: dict[Any, Workspace]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive, self.peak = 0, 0
        self._workspaces = workspaces
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        results = out if isinstance(out, (list, tuple)) else [out]
        for result in results:
            if isinstance(result, Tensor):
                self._add(result.untyped_storage())
        workspace = self._workspaces.get(func.overloadpacket)
        self.peak = max(self.peak, self.alive + (workspace(args, results) if workspace else 0))
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key not in self._known:  # else a view, or written in place
            self._known.add(key)
            self.alive += size
            weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


def count_bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements.

    >>> count_bytes(torch.zeros(2, 3))
    24
    """
    return tensor.numel() * tensor.element_size()


def _forward_workspace(args: Sequence[Any], results: Sequence[Any]) -> int:
    """Count the blocked copies of oneDNN: of the weights; of input and output, the input's gone by then."""
    image, weight = args[:2]
    return count_bytes(weight) + (max(count_bytes(image), count_bytes(results[0])) if _is_blocked(image) else 0)


def _backward_workspace(args: Sequence[Any], _: Sequence[Any]) -> int:
    """Count the blocked copies of the weights' gradient, and of what it comes from: input and gradient."""
    gradient, image, weight = args[:3]
    return count_bytes(weight) + (count_bytes(gradient) + count_bytes(image) if _is_blocked(image) else 0)


def _is_blocked(image: Tensor) -> bool:
    """Tell whether oneDNN reorders a tensor: one whose channels lie last it takes as it is."""
    return image.is_contiguous() and math.prod(image.shape[2:]) > 1


WORKSPACES: dict[Any, Workspace] = {
    torch.ops.aten.convolution: _forward_workspace,
    torch.ops.aten.conv2d: _forward_workspace,  # what is not trained is not taken apart further
    torch.ops.aten.conv3d: _forward_workspace,
    torch.ops.aten.conv_transpose2d: _forward_workspace,
    torch.ops.aten.conv_transpose3d: _forward_workspace,
    torch.ops.aten.convolution_backward: _backward_workspace,
}
"""What operations of torch's CPU build take for themselves, where it is as large as a tensor."""
