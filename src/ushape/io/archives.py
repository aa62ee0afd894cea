"""Archives from strangers: read and unpacked without leaving the folder, and without filling memory or disk."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO, cast

from ushape.core.errors import DataError

_DECODER_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError)
_PACKED = (b"PK\x03\x04", b"\x1f\x8b")  # how a zip and a gzip begin
_BOMB_RATIO, _BOMB_BYTES = 200, 2**28  # images shrink 2 to 20 times; empty masks shrink more, but are small


@dataclass(frozen=True)
class Limits:
    """What an archive may hold before it is refused.

    Attributes:
        total: bytes of all files together, unpacked.
        single: bytes of one file, unpacked.
        files: how many.
    """

    total: int = 2**36
    single: int = 2**34
    files: int = 200_000


@dataclass(frozen=True)
class Entry:
    """One file in an archive, not yet opened."""

    name: str
    size: int
    is_plain: bool
    open: Callable[[], IO[bytes]]


ROOMY = Limits()
"""For archives that are unpacked to disk."""


def unpack(path: Path, folder: Path, limits: Limits = ROOMY) -> list[Path]:
    """Unpack a zip or tar archive into a folder; hidden files, and what macOS adds, are left out.

    Returns:
        The files that were written.
    Raises:
        DataError: the archive is damaged, encrypted or too large, or an entry is a link or leads out of the folder.
    """
    written = []
    with decoder_errors(path):
        for entry in iterate_entries(path, limits):
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with entry.open() as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 2**20)
            written.append(target)
    return written


def read_files(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file of an archive, one at a time in memory; nothing is written.

    Raises:
        DataError: as `unpack`.
    """
    with decoder_errors(path):
        for entry in iterate_entries(path, limits):
            with entry.open() as stream:
                yield entry.name, stream.read()


def iterate_entries(path: Path, limits: Limits) -> Iterator[Entry]:
    """Yield the visible files of an archive in its order, each after it was checked.

    Raises:
        DataError: as `unpack`.
    """
    packed, total, is_empty = max(path.stat().st_size, 1), 0, True
    for number, entry in enumerate(_walk(path), start=1):
        _check_entry(path, entry, limits)
        total += entry.size
        if number > limits.files or total > limits.total or total > max(_BOMB_BYTES, _BOMB_RATIO * packed):
            raise DataError(
                f"{path}: expected at most {limits.files} files, {limits.total / 1e9:.1f} GB and {_BOMB_RATIO} times "
                f"its own size, got {number} files and {total / 1e9:.1f} GB so far; unpack it yourself if you trust it"
            )
        if not _is_hidden(entry.name):
            is_empty = False
            yield entry
    if is_empty:
        raise DataError(f"{path}: expected an archive with files, got an empty one; pack it anew, or copy it again")


@contextmanager
def decoder_errors(path: Path) -> Iterator[None]:
    """Turn what the decoders raise into an error that names the archive."""
    try:
        yield
    except _DECODER_ERRORS as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); fetch or copy it again") from error


def _walk(path: Path) -> Iterator[Entry]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    mode = info.external_attr >> 16
                    is_plain = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
                    yield Entry(info.filename, info.file_size, is_plain, partial(archive.open, info))
        return
    if not tarfile.is_tarfile(path):
        with path.open("rb") as file:
            is_cut = file.read(4).startswith(_PACKED)
        got = "one that is damaged or cut short" if is_cut else "other content"
        raise DataError(f"{path}: expected a zip or tar archive, got {got}; fetch or copy it again")
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isdir():
                open_member = cast("Callable[[], IO[bytes]]", partial(tar.extractfile, member))
                yield Entry(member.name, member.size, member.isreg(), open_member)


def _check_entry(path: Path, entry: Entry, limits: Limits) -> None:
    place = PureWindowsPath(entry.name)  # knows both slashes, and drives
    if place.is_absolute() or place.drive or place.root or ".." in place.parts:
        raise DataError(f"{path}: expected files inside one folder, got {entry.name!r}; do not trust this archive")
    if not entry.is_plain:
        raise DataError(f"{path}: expected plain files, got a link or device {entry.name!r}; do not trust this archive")
    if entry.size > limits.single:
        raise DataError(
            f"{path}: expected files up to {limits.single / 1e9:.1f} GB, got {entry.size / 1e9:.1f} GB for "
            f"{entry.name!r}; unpack it yourself if you trust it"
        )


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PureWindowsPath(name).parts if part != ".")
