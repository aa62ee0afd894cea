"""Kill trainings at chosen points, go on with them, and compare with those that nobody killed.

Run as `python -m tests.train.killing DATA FOLDER`; prints one line of JSON: case -> point -> whether all is equal.
Each training is a fork of this process, which imports the heavy packages once and never computes itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from tests.train.tiny import fit_tiny, same_training

from ushape.core.errors import UshapeError
from ushape.core.events import ignore_events
from ushape.core.files import read_csv
from ushape.train import callbacks, checkpoint, module
from ushape.train.run_folder import RunFolder
from ushape.workflows import training as training_module
from ushape.workflows.fit import resume

USUAL = {
    "train.epochs": 3,
    "train.steps_per_epoch": 4,
    "train.save_seconds": 0,
    "net.block.dropout": 0.3,
    "net.block.norm": "batch",
    "train.average": 0.9,
}
CASES: dict[str, dict[str, Any]] = {
    "usual": USUAL,
    "accumulated, few savings, no average": {
        **USUAL,
        "train.accumulate": 3,
        "train.save_seconds": 1000,
        "train.average": 0,
    },
    "two workers": {**USUAL, "train.workers": 2},
    "no validation": {**USUAL, "data.groups": "^case"},
    "rate follows validation": {
        **USUAL,
        "train.epochs": 4,
        "train.optim.schedule": {"name": "plateau", "on": "loss", "drop": 0.5, "patience": 0},
    },
    "two machines": {**USUAL, "train.nodes": 2},
    "stopped early": {**USUAL, "train.epochs": 30, "train.optim.lr": 1e-12, "train.patience": 1},
}
"""What is trained; a single patient leaves nothing to validate on."""


def die_at_step(number: int, how: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Arrange to be killed or interrupted before the forward pass of a step."""

    def arrange() -> None:
        compute, calls = module.compute_loss, iter(range(1_000_000))

        def counted(*arguments: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), how)
            return compute(*arguments)

        module.compute_loss = counted

    return arrange


def die_when(owner: Any, name: str, nth: int, *, after: bool) -> Callable[[], None]:
    """Arrange to be killed at the nth call of a function, before or after its work."""

    def arrange() -> None:
        plain, calls = getattr(owner, name), iter(range(1_000_000))

        def counted(*arguments: Any, **named: Any) -> Any:
            is_due = next(calls) == nth
            if is_due and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = plain(*arguments, **named)
            if is_due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, counted)

    return arrange


POINTS: dict[str, Callable[[], None]] = {
    "in the first step": die_at_step(0),
    "within the first epoch": die_at_step(2),
    "at the first step of the second epoch": die_at_step(4),
    "within the last epoch": die_at_step(10),
    "in the last step": die_at_step(11),
    "after the row of the second epoch, before its checkpoint": die_when(callbacks, "append_metrics", 1, after=True),
    "after the best model, before its row": die_when(checkpoint.KeepBest, "on_validation_epoch_end", 1, after=True),
    "while a checkpoint is written": die_when(checkpoint, "sync_to_disk", 3, after=False),
    "before the report": die_when(training_module, "review", 0, after=False),
    "by Ctrl-C within an epoch": die_at_step(5, signal.SIGINT),
    "by Ctrl-C in the last step of an epoch": die_at_step(7, signal.SIGINT),
    "by SIGTERM within an epoch": die_at_step(5, signal.SIGTERM),
}
STOPPED = 130
EARLY = ("within the first epoch", "before the report")
LATE = ("within the last epoch", "by Ctrl-C within an epoch")
SOME = ("within the first epoch", "at the first step of the second epoch", "within the last epoch", "before the report")


def start(work: Callable[[], object]) -> int:
    """Begin something in a process of its own and return its number."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except UshapeError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return pid


def run_on(machines: int, work: Callable[[], object], *, arrange: Callable[[], None] = lambda: None) -> int:
    """Do something on some machines, as torchrun would, which ends all if one ends badly; tell how the last one did.

    Args:
        arrange: done before it, on the last machine only.
    """
    last, port = machines - 1, _free_port()

    def work_as(rank: int) -> None:
        if machines > 1:
            _join(rank, machines, port)
        if rank == last:
            arrange()
        work()

    running = {start(partial(work_as, rank)): rank for rank in range(machines)}
    codes = {}
    while running:
        pid, status = os.wait()
        rank = running.pop(pid)
        codes[rank] = os.waitstatus_to_exitcode(status)
        for other in running if codes[rank] not in (0, STOPPED) else ():
            os.kill(other, signal.SIGKILL)
    return codes[last] or codes[0]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _join(rank: int, machines: int, port: int) -> None:
    """Say to lightning what torchrun does to the one process of a machine."""
    told = {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "GROUP_RANK": rank, "RANK": rank, "WORLD_SIZE": machines}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update({name: str(value) for name, value in told.items()})
    rank_zero_only.rank = rank


def check(data: Path, folder: Path, changes: Mapping[str, Any], points: Mapping[str, Callable[[], None]]) -> dict:
    """Train undisturbed once, and once for each point at which it is killed."""
    whole = RunFolder(folder / "whole")
    assert run_on(changes.get("train.nodes", 1), lambda: fit_tiny(data, whole.path, changes)) == 0
    return {name: _is_equal(data, folder / name, changes, arrange, whole) for name, arrange in points.items()}


def _is_equal(
    data: Path, place: Path, changes: Mapping[str, Any], arrange: Callable[[], None], whole: RunFolder
) -> bool:
    machines = changes.get("train.nodes", 1)
    assert run_on(machines, lambda: fit_tiny(data, place, changes), arrange=arrange) in (-signal.SIGKILL, STOPPED)
    assert run_on(machines, lambda: resume(place, ignore_events)) == 0
    run = RunFolder(place)
    return same_training(run, whole) and _rows(run) == _rows(whole) and not list(place.glob(".*"))


def _rows(run: RunFolder) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_csv(run.metrics)]


def main(data: Path, folder: Path) -> None:
    """Check every case; the usual one at all points."""
    found = {}
    for case, changes in CASES.items():
        chosen = {"usual": tuple(POINTS), "stopped early": EARLY, "two machines": LATE}.get(case, SOME)
        points = {name: POINTS[name] for name in chosen}
        (folder / case).mkdir(parents=True)
        found[case] = check(data, folder / case, changes, points)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
