"""Verbs and flags are a promise: none comes or goes unnoticed.

Run as a script, this file prints what the program has now.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ushape.cli.app import app

STORED = Path(__file__).with_name("flags.txt")
REMEDY = "if that is meant: python tests/cli/test_flags.py > tests/cli/flags.txt, and a line in CHANGELOG.md"


def list_flags(command: Any, path: str = "ushape") -> Iterator[str]:
    """Write one line per argument and option of a command and of all below it; help and completion are left out."""
    for parameter in command.params:
        if parameter.name not in ("help", "install_completion", "show_completion"):
            yield f"{path} {describe(parameter)}"
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield f"{path} {name}"
        yield from list_flags(child, f"{path} {name}")


def describe(parameter: Any) -> str:
    names = " ".join(sorted(parameter.opts, key=len, reverse=True))
    name = parameter.name.upper() if parameter.param_type_name == "argument" else names
    return name + (" (required)" if parameter.required else "")


def test_verbs_and_flags_are_those_that_were_promised() -> None:
    now = list(list_flags(typer.main.get_command(app)))
    stored = STORED.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(stored) - set(now)), sorted(set(now) - set(stored))
    assert (gone, new) == ([], []), f"gone: {gone}, new: {new}; {REMEDY}"
    assert now == stored, REMEDY


if __name__ == "__main__":
    print("\n".join(list_flags(typer.main.get_command(app))))
