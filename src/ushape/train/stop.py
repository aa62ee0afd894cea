"""Stopping a training by Ctrl-C or SIGTERM: the first one asks, the second one ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ushape.core.errors import Interrupted
from ushape.train.run_folder import RunFolder


@contextmanager
def explain_stop(run: RunFolder) -> Iterator[None]:
    """Say how to go on if the user ends the block at once.

    Raises:
        Interrupted: there is a checkpoint to go on from.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not run.has_begun:
            raise
        raise Interrupted(f"stopped; go on from the last saved step with: {run.resume_command}") from error


STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a cluster or a container sends some seconds before it ends a program."""


@dataclass
class StopRequest:
    """Whether the user asked to stop."""

    made: bool = False


@contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """Turn the first signal to stop within the block into a request; a second one acts as it did before.

    Outside the main thread nothing is changed: there, signals are the caller's own business.
    """
    request = StopRequest()
    before: dict[int, Any] = {}

    def give_back() -> None:
        for number, handler in before.items():
            if handler is not None:  # installed by C code: Python cannot put it back
                signal.signal(number, handler)

    def note(_number: int, _frame: FrameType | None) -> None:
        request.made = True
        give_back()

    with suppress(ValueError):  # not the main thread
        before |= {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield request
    finally:
        give_back()
