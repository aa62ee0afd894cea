"""The folder where this user's programs keep what they can make again."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ushape.core.errors import OutputError
from ushape.core.files import atomic_path

_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return the folder of ushape among the caches of this user."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("ushape"))


class Shelf:
    """A folder of a few small things that took long to make; what was not used for longest makes room.

    A thing that was damaged, or not written whole, is as if it were not there; nor does a folder that cannot be written
    disturb anybody.

    Args:
        most: how many things it holds.
        largest: in bytes; larger ones are not kept.
    """

    def __init__(self, folder: Path, *, most: int = 32, largest: int = 2**23) -> None:
        self.folder, self.most, self.largest = folder, most, largest

    def find(self, name: str) -> bytes | None:
        """Return what was kept under a name; None if there is nothing."""
        path = self._path(name)
        with suppress(OSError):
            content = path.read_bytes()
            if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
                os.utime(path)
                return content[_DIGEST:]
        return None

    def keep(self, name: str, content: bytes) -> None:
        """Keep something under a name that says all that it depends on."""
        if len(content) > self.largest:
            return
        with suppress(OSError, OutputError):
            with atomic_path(self._path(name)) as temporary:
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
            kept = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
            for path in kept[self.most :]:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / hashlib.sha256(name.encode()).hexdigest()[:32]
