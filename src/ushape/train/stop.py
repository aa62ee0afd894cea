"""Stopping a training by Ctrl-C or SIGTERM: the first one asks, the second one ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from types import FrameType
from typing import Any

from ushape.core.errors import Interrupted
from ushape.core.events import Listener, Message, ignore_events
from ushape.train.run_folder import RunFolder


@contextmanager
def explain_stop(run: RunFolder) -> Iterator[None]:
    """Say how to go on if the user ends the block at once, or that there is nothing to go on from.

    Raises:
        Interrupted: the user did.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not run.has_begun:
            raise Interrupted("stopped; nothing is trained yet") from error
        raise Interrupted(f"stopped; go on from the last saved step with: {run.resume_command}") from error


HEARD = Message("stopping after this step; once more stops at once")
STOPPING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a cluster or a container sends some seconds before it ends a program."""


@dataclass
class StopRequest:
    """Whether the user asked to stop."""

    made: bool = False


@contextmanager
def catch_stop(listener: Listener = ignore_events) -> Iterator[StopRequest]:
    """Turn the first signal to stop within the block into a request, and say so; a second one acts as it did before.

    Outside the main thread nothing is changed: there, signals are the caller's own business.
    """
    request = StopRequest()
    before: dict[int, Any] = {}
    telling = Thread(target=listener, args=(HEARD,))  # the signal may have come in the middle of telling something

    def give_back() -> None:
        for number, handler in before.items():
            if handler is not None:  # installed by C code: Python cannot put it back
                signal.signal(number, handler)

    def note(_number: int, _frame: FrameType | None) -> None:
        request.made = True
        give_back()
        telling.start()

    with suppress(ValueError):  # not the main thread
        before |= {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield request
    finally:
        give_back()
        if telling.is_alive():
            telling.join()
