"""How events look: a live table on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ushape.core.events import (
    STAGES,
    Event,
    Listener,
    Message,
    Progress,
    Validation,
    describe,
    format_duration,
    format_number,
    format_values,
)

if TYPE_CHECKING:
    from rich.table import Table

SHOWN_VALIDATIONS = 12


@contextmanager
def listening(*, as_json: bool = False) -> Iterator[Listener]:
    """Yield a listener that shows events as this output deserves."""
    if as_json:
        yield JsonLines()
    elif sys.stdout.isatty():
        terminal = Terminal()
        with terminal.live:
            yield terminal
    else:
        yield PlainLines()


def tell_wait(what: str) -> None:
    """Say on a terminal what takes the next seconds; results, and what a program reads, stay as they are."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{what}\n")
        sys.stderr.flush()


def print_json(data: Any) -> None:
    """Print data as JSON; what is not finite becomes null."""
    sys.stdout.write(json.dumps(_finite(data), indent=2) + "\n")


def print_line(data: Mapping[str, Any]) -> None:
    """Print data as JSON on one line, at once."""
    sys.stdout.write(json.dumps(_finite(data)) + "\n")
    sys.stdout.flush()


class JsonLines:
    """One JSON object per event, one per line."""

    def __call__(self, event: Event) -> None:
        """Print the event."""
        print_line({"event": type(event).__name__.lower(), **asdict(event)})


class PlainLines:
    """One line per sentence and validation; progress at most every ten seconds."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, event: Event) -> None:
        """Print the event."""
        if isinstance(event, Progress):
            if time.monotonic() - self._told < 10 and event.done < event.total:
                return
            self._told = time.monotonic()
        sys.stdout.write(describe(event) + "\n")
        sys.stdout.flush()


class Terminal:
    """A table of validations above a progress bar, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, TextColumn("{task.fields[values]}"), console=Console())
        self.live = Live(self._bar, console=self._bar.console, refresh_per_second=4, transient=False)
        self._tasks: dict[str, Any] = {}
        self._rows: list[Validation] = []

    def __call__(self, event: Event) -> None:
        """Show the event."""
        if isinstance(event, Message):
            style = "yellow" if event.level == "warning" else None
            self.live.console.print(event.text, style=style, highlight=False, markup=False)
        elif isinstance(event, Progress):
            self._move(event)
        else:
            self._rows.append(event)
            self._draw()

    def _move(self, event: Progress) -> None:
        if event.stage not in self._tasks:
            name = STAGES.get(event.stage, event.stage)
            self._tasks[event.stage] = self._bar.add_task(name, total=event.total, values="")
        self._bar.update(self._tasks[event.stage], completed=event.done, values=format_values(event.values))

    def _draw(self) -> None:
        from rich.console import Group

        self.live.update(Group(validation_table(self._rows[-SHOWN_VALIDATIONS:]), self._bar))


def validation_table(rows: list[Validation]) -> Table:
    """Draw validations as a table, the best so far marked."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "step", "loss", *(f"Dice {name}" for name in rows[-1].dice), "", "time"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [
            str(row.epoch),
            str(row.step),
            format_number(row.train_loss),
            *(format_number(dice) for dice in row.dice.values()),
        ]
        table.add_row(*cells, "best" if row.is_best else "", format_duration(row.seconds))
    return table


def _finite(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
