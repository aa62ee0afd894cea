"""One training in several processes: which of them this is, and what only the first may do.

Rank 0 plans, prepares, measures and writes. The others, started by lightning or by torchrun with the same command, wait
for what it has written, and join.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import distributed

from ushape.core.errors import ConfigError

POLL_SECONDS = 0.2


def own_rank() -> int:
    """Return the number of this process among those of one training; 0 where it is the only one."""
    from lightning.pytorch.utilities import rank_zero_only

    return int(getattr(rank_zero_only, "rank", 0))


def check_launcher(nodes: int) -> None:
    """Refuse a training on several machines whose processes nobody has numbered.

    Raises:
        ConfigError: neither torchrun nor SLURM has started this process.
    """
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if nodes > 1 and not (TorchElasticEnvironment.detect() or SLURMEnvironment.detect()):
        raise ConfigError(
            f"train.nodes: expected the processes of {nodes} machines to be started by torchrun or srun, got none of "
            "them; docs/scaling.md has the commands"
        )


def wait_until_written(*paths: Path) -> None:
    """Wait for files that rank 0 writes; whoever started the processes ends them if it fails."""
    while not all(path.exists() for path in paths):
        time.sleep(POLL_SECONDS)


@contextmanager
def leave_together() -> Iterator[None]:
    """Let no process go before the others have come to the end of the block; without this, some abort at exit."""
    yield
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
