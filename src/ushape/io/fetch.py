"""Public data sets from their homes or a mirror: fetched, verified, unpacked with care, and found to be data sets."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from ushape.core.config import choose
from ushape.core.errors import ConfigError, DataError, OutputError
from ushape.io.archives import unpack
from ushape.io.download import download
from ushape.io.layouts import find_dataset
from ushape.io.sources import SOURCES, Source

Accept = Callable[[Source], bool]
"""Shows title, licence and size to a person, and returns whether to go on."""


def fetch_dataset(name: str, target: Path, *, accept: Accept, mirror: str = "") -> Path:
    """Fetch a public data set into a folder, which appears when all is done.

    What arrived of an archive is kept beside it when the connection breaks; the next call goes on from there.

    Args:
        name: one of `SOURCES`.
        target: a folder that is not there yet, or is empty.
        accept: asked before anything is fetched.
        mirror: what stands in for the network: a folder or an address at which the archive has its own name; or a
            folder that holds the data set unpacked, under the last part of its name.
    Returns:
        `target`, in which `find_dataset` finds a data set.
    Raises:
        ConfigError: there is no data set of that name, or its licence was not accepted.
        DataError: the archive is not there, was cut off, has another checksum, or is damaged or dangerous.
        OutputError: the target is not empty, or cannot be written.
    """
    source = choose(name, SOURCES, "data set")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target}: expected a new or empty folder, got one with content; choose another")
    if not accept(source):
        raise ConfigError(f"{name}: expected its licence to be accepted, got no; read it, and confirm to go on")
    partial = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        found = _find_or_fetch(name, source, partial, mirror)
        find_dataset(found)
        if target.exists():
            target.rmdir()
        found.rename(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _find_or_fetch(name: str, source: Source, place: Path, mirror: str) -> Path:
    """Bring the data set below `place`, and return its folder there."""
    local = Path(mirror) if mirror and not mirror.startswith(("http://", "https://")) else None
    if local is None:
        url = f"{mirror.rstrip('/')}/{source.archive}" if mirror else source.url
        archive = download(url, place.with_name(f".ushape-{source.archive}"), source.checksum)
        try:
            return _unpack(archive, source, place)
        finally:
            archive.unlink()
    unpacked = local / name.rpartition(":")[2]
    if unpacked.is_dir():
        shutil.copytree(unpacked, place, ignore=shutil.ignore_patterns(".*"))
        return place
    archive = local / source.archive
    if not archive.is_file():
        raise DataError(
            f"{local}: expected {source.archive} or a folder {unpacked.name}, got neither; check the mirror"
        )
    _verify(archive, source.checksum)
    return _unpack(archive, source, place)


def _unpack(archive: Path, source: Source, place: Path) -> Path:
    unpack(archive, place)
    inside = [place, *(path for path in sorted(place.iterdir()) if path.is_dir())]
    found = next((path / source.folder for path in inside if (path / source.folder).is_dir()), None)
    if found is None:
        raise DataError(f"{archive}: expected a folder {source.folder} in it, got none; try another mirror")
    return found


def _verify(archive: Path, checksum: str) -> None:
    import pooch

    kind, _, known = checksum.partition(":")
    if checksum != "none" and pooch.file_hash(str(archive), alg=kind) != known:
        raise DataError(f"{archive}: expected the checksum {checksum}, got another file; fetch it again")
