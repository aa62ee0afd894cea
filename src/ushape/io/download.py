"""One file over HTTP, piece by piece: what has arrived is kept, and the next try goes on from there."""

from __future__ import annotations

import urllib.error
import urllib.request
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast

from ushape.core.errors import DataError

_TRIES = 5
_TIMEOUT_SECONDS = 60
_CHUNK = 2**20


def download(url: str, target: Path, checksum: str) -> Path:
    """Download a file and compare it with its checksum; an earlier download of it is taken as it is.

    Args:
        checksum: "md5:..." or "sha256:...", or "none".
    Raises:
        DataError: the address is no HTTP address or does not answer, the connection breaks again and again, or the
            checksum is another.
    """
    import pooch

    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url}: expected an address that begins with https:// or http://, got another; correct it")
    pooch.get_logger().setLevel("WARNING")
    part = target.with_name(f"{target.name}.part")
    known = None if checksum == "none" else checksum
    try:
        pooch.retrieve(url, known, target.name, target.parent, downloader=partial(_fetch_pieces, part=part))
    except ValueError as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{url}: expected the checksum {checksum}, got another file; try again, or another mirror"
        ) from error
    part.unlink(missing_ok=True)
    return target


def _fetch_pieces(url: str, output: str, _pooch: Any, *, part: Path) -> None:
    """Fetch into `part`, as often as something new arrives, and copy it when it is whole."""
    for _ in range(_TRIES):
        before = part.stat().st_size if part.exists() else 0
        if _fetch_piece(url, part):
            part.replace(output)
            return
        if part.stat().st_size <= before:
            break
    got = part.stat().st_size / 1e6
    raise DataError(
        f"{url}: expected the whole file, got {got:.1f} MB before the connection broke; run it again to go on"
    )


def _fetch_piece(url: str, part: Path) -> bool:
    """Fetch what is missing of `part`, as much of it as comes; return whether it is whole now."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - see `download`
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - see `download`
            return _append(cast("HTTPResponse", answer), part, have)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # there is nothing beyond what is here
        raise DataError(
            f"{url}: expected the file, got HTTP {error.code} ({error.reason}); check the address, or use a mirror"
        ) from error
    except urllib.error.URLError as error:
        raise DataError(f"{url}: cannot be reached ({error.reason}); check the network, or use a mirror") from error


def _append(answer: HTTPResponse, part: Path, have: int) -> bool:
    """Write the answer behind what is there, or over it if the server sends all again; return whether that is all."""
    goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
    announced = answer.headers.get("Content-Length")
    with part.open("ab" if goes_on else "wb") as file:
        try:
            while piece := answer.read(_CHUNK):
                file.write(piece)
        except (HTTPException, ConnectionError, TimeoutError):
            return False
        size = file.tell()
    return announced is None or size == int(announced) + (have if goes_on else 0)
