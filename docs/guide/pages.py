"""Run the code of the guide and write below it what it prints: python docs/guide/pages.py [PAGE ...].

The English pages are run; the Chinese ones get the same blocks. A block `python` runs in the names of its page, and
what it prints stands in the block `text` below it. In a block `console` the lines behind `$` are commands, and what
they print follows each; those of a block `sh` are run, and what they print is not shown.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ushape.cli.app import main as run_program

HERE = Path(__file__).parent
ENGLISH, CHINESE = HERE / "en", HERE / "zh"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GOES_ON = ("12-", "13-")
"""Beginnings of the names of pages that use the files of the page before."""


@dataclass(frozen=True)
class Block:
    """A block of code or output on a page."""

    language: str
    body: str

    def __str__(self) -> str:
        """Write it as it stands on a page."""
        return f"```{self.language}\n{self.body}```"


def find_blocks(text: str) -> list[Block]:
    """List the blocks of a page."""
    return [Block(*found) for found in FENCE.findall(text)]


def put_blocks(text: str, blocks: Sequence[Block]) -> str:
    """Replace the blocks of a page, one by one."""
    own = find_blocks(text)
    if [block.language for block in own] != [block.language for block in blocks]:
        sys.exit(f"{text.splitlines()[0]}: expected the blocks {[b.language for b in blocks]}, got those of {own}")
    rest = iter(blocks)
    return FENCE.sub(lambda _: str(next(rest)), text)


def chain_pages() -> list[list[Path]]:
    """Return the English pages in their order, those together that share their files."""
    chains: list[list[Path]] = []
    for page in sorted(ENGLISH.glob("*.md")):
        if page.name.startswith(GOES_ON):
            chains[-1].append(page)
        else:
            chains.append([page])
    return chains


def run_blocks(blocks: Sequence[Block]) -> list[Block]:
    """Run the blocks of a page in the current folder, and return them with what they print now."""
    names: dict[str, Any] = {}
    done: list[Block] = []
    printed = ""
    for block in blocks:
        if block.language == "text":
            done.append(Block("text", printed))
            printed = ""
        elif printed:
            break
        elif block.language == "python":
            printed = run_python(block.body, names)
            done.append(block)
        else:
            done.append(SHELLS[block.language](block))
    if printed:
        sys.exit(f"a block of code prints, and no block of text follows to show it:\n{done[-1]}\n{printed}")
    return done


def run_python(code: str, names: dict[str, Any]) -> str:
    """Run code, and return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as told:
        exec(compile(code, "page", "exec"), names)  # noqa: S102 - the pages are ours
    return told.getvalue()


def run_command(line: str) -> str:
    """Run `ushape ...`, and return what it prints; the guide shows no command that fails."""
    program, *arguments = shlex.split(line)
    if program != "ushape":
        sys.exit(f"{line}: expected a command of ushape")
    with contextlib.redirect_stdout(io.StringIO()) as told:
        try:
            run_program(arguments)
        except SystemExit as end:
            if end.code:
                sys.exit(f"{line}: exit code {end.code}\n{told.getvalue()}")
    return "".join(f"{row.rstrip()}\n" for row in told.getvalue().splitlines())


def run_shown(block: Block) -> Block:
    """Run the commands of a block, and set what each prints below it."""
    lines = [line for line in block.body.splitlines() if line.startswith("$ ")]
    return Block("console", "".join(f"{line}\n{run_command(line[2:])}" for line in lines))


def run_silently(block: Block) -> Block:
    """Run the commands of a block."""
    for line in block.body.splitlines():
        run_command(line)
    return block


SHELLS: dict[str, Callable[[Block], Block]] = {"console": run_shown, "sh": run_silently}


@contextlib.contextmanager
def a_folder() -> Iterator[None]:
    """Work in an empty folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def main(wanted: Sequence[str]) -> None:
    """Bring the blocks of all pages up to date, or those of the chains in which pages are named."""
    for chain in chain_pages():
        if wanted and not any(page.name.startswith(name) for page in chain for name in wanted):
            continue
        with a_folder():
            for page in chain:
                text = page.read_text(encoding="utf-8")
                blocks = run_blocks(find_blocks(text))
                write(page, put_blocks(text, blocks))
                translated = CHINESE / page.name
                if translated.exists():
                    write(translated, put_blocks(translated.read_text(encoding="utf-8"), blocks))


def write(page: Path, text: str) -> None:
    """Write a page the same way on every system."""
    page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
