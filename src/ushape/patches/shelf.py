"""Prepared cases that outlive the run which prepared them, so that the next training on them starts at once.

A case lies under its key in a folder of its own. Runs get hard links to its files: they cost no space, and whatever is
removed from the shelf stays with the runs that have it.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

from ushape.core.files import whole_folder

MOST_BYTES = 10 * 2**30
STALE_SECONDS = 3600.0
FREE_SHARE = 0.25
"""Of what would be free on the disk without the shelf, it takes at most this."""


class Shelf:
    """A folder of prepared cases, by key; each is written there as by `store.write_case`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str) -> bool:
        """Say whether a case is there; it counts as used now."""
        try:
            os.utime(self.folder / key)
        except FileNotFoundError:
            return False
        return True

    def lend(self, key: str, store: Path) -> None:
        """Put a case into a run's store.

        Raises:
            OutputError: the store cannot be written, or another run has just removed the case.
        """
        with whole_folder(store / key) as place:
            for file in (self.folder / key).iterdir():
                _link(file, place / file.name)

    def trim(self, most_bytes: int = MOST_BYTES) -> None:
        """Remove the cases that were not used for the longest time, until the rest is within bounds."""
        if not self.folder.is_dir():
            return
        _sweep(self.folder)
        entries = [entry for entry in self.folder.iterdir() if not entry.name.startswith(".")]
        kept = sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)
        sizes = [sum(file.stat().st_size for file in entry.iterdir()) for entry in kept]
        room = min(most_bytes, int(FREE_SHARE * (shutil.disk_usage(self.folder).free + sum(sizes))))
        for entry, size in zip(kept, sizes, strict=True):
            room -= size
            if room < 0:
                _remove(entry)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sweep(folder: Path) -> None:
    """Remove what killed programs left half written long ago; younger ones may be at work."""
    for entry in folder.glob(".*"):
        if time.time() - entry.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)


def _remove(entry: Path) -> None:
    """Remove a folder so that it is never seen with some of its files."""
    doomed = entry.with_name(f".{entry.name}-{uuid.uuid4().hex[:8]}")
    entry.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
