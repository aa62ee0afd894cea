"""What a case's files hold, as one hash: equal contents have equal hashes, whatever the files are called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.pairs import Pair

_HEADERS = (".mhd", ".nhdr")


def hash_pair(pair: Pair) -> str:
    """Hash the contents of all files of a pair: images, masks, slices of a series, voxels beside a header.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    digest = hashlib.blake2b(f"series {pair.series}".encode(), digest_size=16)
    for role, paths in (("image", pair.images), ("mask", pair.masks)):
        for path in paths:
            digest.update(role.encode())
            digest.update("".join(sorted(map(_hash_file, list_parts(path)))).encode())
    return digest.hexdigest()


def list_parts(path: Path) -> list[Path]:
    """List the files that an image or mask is made of: itself, the slices in a folder, the voxels beside a header."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if path.suffix.lower() not in _HEADERS or not path.is_file():
        return [path]
    named = path.read_bytes().split(b"\0", 1)[0].decode("utf-8", errors="replace")
    beside = [file for file in path.parent.iterdir() if file.is_file() and file != path]
    return [path, *sorted(file for file in beside if file.name in named or file.name.startswith(f"{path.stem}."))]


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); put it back, or correct its rights") from error
