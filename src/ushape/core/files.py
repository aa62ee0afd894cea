"""Writing that leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ushape.core.errors import DataError, OutputError

_BLOCK = 2**24
_TEMPORARY = re.compile(r"\..+-[0-9a-f]{8}(\.\w+)?")


@contextmanager
def atomic_path(path: Path, *, keep: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block ends well, remove it when not.

    Args:
        keep: False to remove it in any case.
    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if keep:
            temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place with -o"
        ) from error
    finally:
        with suppress(OSError):  # it is gone, or its folder never came to be
            temporary.unlink()


@contextmanager
def scratch_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Iterator[Any]:
    """Yield a memory map of zeros that lies beside `path`, and remove it at the end.

    Its room is taken at once: a map that runs out of disk later would kill the process.

    Raises:
        OutputError: the folder cannot be made or written, or has too little room.
    """
    import numpy as np

    room = math.prod(shape) * np.dtype(dtype).itemsize
    with atomic_path(path.with_name(f"{path.stem}-scratch.raw"), keep=False) as temporary:
        with temporary.open("wb") as file:
            for start in range(0, room, _BLOCK):
                file.write(bytes(min(_BLOCK, room - start)))
        yield np.memmap(temporary, dtype, "r+", shape=shape)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it onto `path` when the block ends well, remove it when not.

    A folder that is there already stays, since what has the same name holds the same.

    Raises:
        OutputError: the folder cannot be made or filled, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(path)
    except OSError as error:
        if not path.is_dir():
            raise OutputError(
                f"{path}: cannot be written ({error.strerror or error}); choose another place with -o"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed program left in a folder."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sync_to_disk(path: Path) -> None:
    """Wait until the operating system has a file's content on disk, so that a rename after it is safe."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def append_text(path: Path, text: str) -> None:
    """Add to the end of a text file, in one write."""
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); make room on the disk") from error


def write_json(path: Path, data: Any) -> None:
    """Write data as indented JSON, whole or not at all."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing, no JSON, or names something twice.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_each_once)
    except _TwiceError as error:
        raise DataError(
            f"{path}: expected each name once, got {error.name!r} twice in one object{_name_lines(text, error.name)}; "
            "correct it"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: expected a JSON file, got {error.msg} (column {error.colno}); "
            f"correct the JSON at line {error.lineno}"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a JSON file, got {error}; correct it, put it back, or start anew") from error


class _TwiceError(ValueError):
    """A name that comes twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _name_lines(text: str, name: str) -> str:
    """Say on which two lines a name stands; nothing where it stands in other places too."""
    key = re.compile(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:")
    lines = [number for number, line in enumerate(text.splitlines(), start=1) for _ in key.findall(line)]
    return f" (lines {lines[0]} and {lines[1]})" if len(set(lines)) == len(lines) == 2 else ""


def _each_once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its items; `json` itself would keep the last of one name, and say nothing."""
    found = dict(items)
    if len(found) < len(items):
        twice = next(name for index, (name, _) in enumerate(items) if name in dict(items[:index]))
        raise _TwiceError(twice)
    return found


def format_csv(rows: Sequence[Mapping[str, object]], *, head: bool = True) -> str:
    r"""Write rows of the same columns as a table.

    >>> format_csv([{"step": 1, "loss": 0.5}])
    'step,loss\n1,0.5\n'
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    if head and rows:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table as one dict per row; no rows if there is no file.

    Raises:
        DataError: it is no text.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: expected a table in UTF-8, got {error}; put it back, or start anew") from error
