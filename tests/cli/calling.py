"""Call the program as a shell would, without the cost of a new process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from tests.train.tiny import TINY, cli_arguments

from ushape.cli.app import main

TINY_OPTIONS = cli_arguments(TINY)


@dataclass(frozen=True)
class Called:
    """What the program gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def call(*arguments: object) -> Called:
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return Called(code, out.getvalue(), err.getvalue())


def call_well(*arguments: object) -> Called:
    called = call(*arguments)
    assert called.code == 0, called.err
    return called
