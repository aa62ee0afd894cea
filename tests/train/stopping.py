"""Stop a training by two signals at once, in a process of its own."""

import signal
import sys
from pathlib import Path

import pytest
import torch
from tests.train.tiny import fit_tiny

from ushape.core.errors import Interrupted
from ushape.train import module


def stop_twice(data: Path, run: Path) -> None:
    """Train, and send both signals at the sixth step."""
    before, compute, calls = signal.getsignal(signal.SIGINT), module.compute_loss, iter(range(1000))

    def twice(*arguments: object) -> torch.Tensor:
        if next(calls) == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return compute(*arguments)  # type: ignore[arg-type]

    with pytest.raises(Interrupted, match="go on from the last saved step"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compute_loss", twice)
        fit_tiny(data, run)
    assert signal.getsignal(signal.SIGINT) is before


if __name__ == "__main__":
    stop_twice(Path(sys.argv[1]), Path(sys.argv[2]))
