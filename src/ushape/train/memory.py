"""Say what to do when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ushape.core.errors import TrainingError
from ushape.patches.sampler import PatchConfig

_COMPLAINTS = ("out of memory", "can't allocate memory", "not enough memory")
"""How CUDA and MPS, and the CPU on Linux and on Windows, say it; only CUDA has an error of its own."""


@contextmanager
def advise_on_memory(patches: PatchConfig) -> Iterator[None]:
    """Turn a lack of memory within the block into advice.

    Raises:
        TrainingError: memory ran out; the message names smaller settings.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(_advise(patches)) from error


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out, on any device."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(complaint in str(error).lower() for complaint in _COMPLAINTS)


def _advise(patches: PatchConfig) -> str:
    size = "x".join(map(str, patches.size))
    halved = ",".join(str(max(length // 2, 8)) for length in patches.size)
    fewer = f"--batch {patches.batch // 2}, or " if patches.batch > 1 else ""
    return (
        f"out of memory with {patches.batch} patches of {size} a step; try {fewer}--set patches.size=[{halved}], "
        "or --set net.checkpointing=true"
    )
