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
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from ushape.core.layout import lay_out_images
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet

Run = Callable[[UNet, Tensor], Tensor]
"""What is done with a network and a batch of images, (b, channels, *space): it ends in a loss."""
Workspace = Callable[[Sequence[Any], Sequence[Any]], list[int]]
"""The bytes of each block that an operation takes for itself, from its arguments and its results."""


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
    """The most bytes at one moment.

    Attributes:
        tensors: that are in use, workspaces of convolutions included.
        total: that are taken: on a CPU also those that the C library has got back and holds.
    """

    tensors: int
    total: int


MAPPED = 32 * 2**20
"""Blocks from this size on glibc takes from the system one by one, and gives back; all others share a heap."""
BLOCK, FEW = 16, 4
"""Channels in a block of oneDNN's where registers have 512 bits; images of few channels it takes as they are."""
STEP_HOLES, PREDICTION_HOLES = 0.1, 0.35
"""Share of the heap that lies between blocks in use, as benchmarks/memory.py --usual finds it."""


@dataclass(frozen=True)
class Upkeep:
    """What a training keeps beside weights and gradients.

    Attributes:
        copies: numbers that optimiser and average keep for each trained weight.
        passing: numbers that the optimiser makes for each weight while it changes that.
        accumulates: whether gradients of several steps are added up, so that the old ones stay during a step.
    """

    copies: int = 2
    passing: int = 2
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
    draft = _draft(config)
    with watch_memory(numerics) as watcher:
        net = _fill(draft)
        trained = [weight for weight in net.parameters() if weight.requires_grad]
        kept = [torch.zeros_like(weight) for weight in trained for _ in range(upkeep.copies)]
        image = _make_images(shape, numerics)
        for weight in trained:
            weight.grad = torch.zeros_like(weight)
        with _autocast(numerics):
            loss = run(net.train(), image)
        if not upkeep.accumulates:
            net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        watcher.note([max(map(count_bytes, trained), default=0)] * upkeep.passing)
        del loss, kept
    return watcher.peak(numerics, STEP_HOLES)


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
    draft = _draft(config)
    with watch_memory(numerics) as watcher, torch.inference_mode():
        net = _fill(draft)
        image = _make_images(shape, numerics)
        with _autocast(numerics):
            out = run(net.eval(), image)
        del out
    return watcher.peak(numerics, PREDICTION_HOLES)


def _draft(config: UNetConfig) -> UNet:
    """Build a network without weights, which are neither made nor drawn."""
    with torch.device("meta"):
        return UNet(config)


def _fill(net: UNet) -> UNet:
    """Give a draft weights; they are fake ones where memory is watched."""
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
        tensors: the most bytes that lived, workspaces included.
        heap: the most bytes that lived in blocks of the heap, which does not shrink when they are freed.
        resident: the most that the heap, as large as it was until then, and all larger blocks took.
    """

    def __init__(self, workspaces: dict[Any, Workspace]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tensors, self.heap, self.resident = 0, 0, 0
        self._small, self._large = 0, 0
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
        self.note(workspace(args, results) if workspace else [])
        return out

    def peak(self, numerics: Numerics, holes: float) -> Peak:
        """Return what was found, for a device."""
        taken = self.resident + round(holes * self.heap) if numerics.device == "cpu" else self.tensors
        return Peak(self.tensors, taken)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key not in self._known:  # else a view, or written in place
            self._known.add(key)
            self._count(size)
            weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._count(-size)

    def _count(self, change: int) -> None:
        if abs(change) < MAPPED:
            self._small += change
        else:
            self._large += change

    def note(self, passing: Sequence[int]) -> None:
        """Count blocks that live for this moment only."""
        small = self._small + sum(size for size in passing if size < MAPPED)
        large = self._large + sum(size for size in passing if size >= MAPPED)
        self.heap = max(self.heap, small)
        self.tensors = max(self.tensors, small + large)
        self.resident = max(self.resident, self.heap + large)


def count_bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements.

    >>> count_bytes(torch.zeros(2, 3))
    24
    """
    return tensor.numel() * tensor.element_size()


def _forward_workspace(args: Sequence[Any], results: Sequence[Any]) -> list[int]:
    """List the blocked copies of oneDNN: of the weights; of input and output, the input's gone by then."""
    image, weight = args[:2]
    copies = [max(_count_blocked(image), _count_blocked(results[0]))] if _is_blocked(image) else []
    return [count_bytes(weight), *copies]


def _backward_workspace(args: Sequence[Any], _: Sequence[Any]) -> list[int]:
    """List the blocked copies of the weights' gradient, and of what it comes from: input and gradient."""
    gradient, image, weight = args[:3]
    copies = [_count_blocked(gradient), _count_blocked(image)] if _is_blocked(image) else []
    return [count_bytes(weight), *copies]


def _mean_workspace(args: Sequence[Any], _: Sequence[Any]) -> list[int]:
    """List the copy in float32 that torch takes the mean of fewer bits from."""
    image = args[0]
    return [4 * image.numel()] if image.element_size() < 4 else []


def _count_blocked(image: Tensor) -> int:
    """Return the bytes of a copy whose channels lie in blocks, the last of which is filled up; few stay as they are."""
    channels = image.shape[1]
    return count_bytes(image) // channels * (channels if channels <= FEW else -(-channels // BLOCK) * BLOCK)


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
    torch.ops.aten.mean: _mean_workspace,
}
"""What operations of torch's CPU build take for themselves, where it is as large as a tensor."""
