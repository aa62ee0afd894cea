"""Data sets come whole from a server that fails in every way, or not at all."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ushape.core.errors import ConfigError, DataError, OutputError
from ushape.io import download, fetch
from ushape.io.fetch import fetch_dataset
from ushape.io.layouts import find_pairs
from ushape.io.sources import SOURCES, Source
from ushape.io.synthetic import write_nuclei


class Server(ThreadingHTTPServer):
    """Serves one content at every path; breaks off after so many bytes, so many times."""

    content = b""
    breaks: list[int]
    knows_ranges = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks, self.asked = [], []
        self.asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(f"{self.path} {wanted}".strip())
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if self.server.knows_ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks.pop(0)] if self.server.breaks else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    write_nuclei(tmp_path / "made" / "set", count=3, size=(64, 64))
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(tmp_path / "made" / "set", "set")
    return (tmp_path / "set.tar").read_bytes()


@pytest.fixture
def source(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Source:
    server.content = archive
    checksum = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    made = Source("nuclei", "CC0", f"{server.url}/files/set.tar", checksum, "set")
    monkeypatch.setitem(SOURCES, "test:set", made)
    return made


def accept(_: Source) -> bool:
    return True


def test_a_data_set_is_fetched_verified_and_unpacked(tmp_path: Path, source: Source, server: Server) -> None:
    target = fetch_dataset("test:set", tmp_path / "out" / "data", accept=accept)
    assert [pair.name for pair in find_pairs(target)] == ["nuclei_000", "nuclei_001", "nuclei_002"]
    assert server.asked == ["/files/set.tar"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["data"]


def test_the_licence_is_shown_before_anything_is_fetched(tmp_path: Path, source: Source, server: Server) -> None:
    shown = []

    def refuse(asked: Source) -> bool:
        shown.append(asked.licence)
        return False

    with pytest.raises(ConfigError, match="expected its licence to be accepted"):
        fetch_dataset("test:set", tmp_path / "data", accept=refuse)
    assert (shown, server.asked) == (["CC0"], [])


def test_a_broken_connection_goes_on_where_it_broke(tmp_path: Path, source: Source, server: Server) -> None:
    server.breaks = [3000, 2000]
    fetch_dataset("test:set", tmp_path / "data", accept=accept)
    assert server.asked == ["/files/set.tar", "/files/set.tar bytes=3000-", "/files/set.tar bytes=5000-"]


def test_a_server_without_ranges_sends_all_again(tmp_path: Path, source: Source, server: Server) -> None:
    server.breaks, server.knows_ranges = [3000], False
    fetch_dataset("test:set", tmp_path / "data", accept=accept)
    assert len(find_pairs(tmp_path / "data")) == 3


def test_the_next_call_goes_on_where_the_last_one_ended(tmp_path: Path, source: Source, server: Server) -> None:
    server.breaks = [4000, 0, 0]
    with pytest.raises(DataError, match=r"got 0\.0 MB before the connection broke; run it again to go on"):
        fetch_dataset("test:set", tmp_path / "data", accept=accept)
    server.breaks, server.asked = [], []
    fetch_dataset("test:set", tmp_path / "data", accept=accept)
    assert server.asked == ["/files/set.tar bytes=4000-"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_whole_file_whose_end_was_not_noticed_is_taken(tmp_path: Path, source: Source, server: Server) -> None:
    (tmp_path / ".ushape-set.tar.part").write_bytes(server.content)
    fetch_dataset("test:set", tmp_path / "data", accept=accept)
    assert len(find_pairs(tmp_path / "data")) == 3


def test_another_file_is_refused_by_its_checksum_and_forgotten(tmp_path: Path, source: Source, server: Server) -> None:
    good, server.content = server.content, server.content[:-1] + b"x"
    with pytest.raises(DataError, match=r"set\.tar: expected the checksum sha256:.*; try again, or another mirror"):
        fetch_dataset("test:set", tmp_path / "data", accept=accept)
    server.content = good
    fetch_dataset("test:set", tmp_path / "data", accept=accept)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_says_no_is_quoted(tmp_path: Path, source: Source, server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(DataError, match=rf"set\.tar: expected the file, got HTTP {status}"):
        fetch_dataset("test:set", tmp_path / "data", accept=accept)


def test_a_server_that_is_not_there_is_named(tmp_path: Path, source: Source) -> None:
    with pytest.raises(DataError, match=r"cannot be reached .*; check the network"):
        fetch_dataset("test:set", tmp_path / "data", accept=accept, mirror="http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y"])
def test_other_kinds_of_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="expected an address that begins with https"):
        download.download(url, tmp_path / "x", "none")


def test_an_address_as_mirror_stands_in(tmp_path: Path, source: Source, server: Server) -> None:
    fetch_dataset("test:set", tmp_path / "data", accept=accept, mirror=f"{server.url}/elsewhere/")
    assert server.asked == ["/elsewhere/set.tar"]


def test_a_folder_with_the_archive_stands_in_and_keeps_it(tmp_path: Path, source: Source, server: Server) -> None:
    fetch_dataset("test:set", tmp_path / "data", accept=accept, mirror=str(tmp_path))
    assert len(find_pairs(tmp_path / "data")) == 3
    assert (tmp_path / "set.tar").is_file()
    (tmp_path / "set.tar").write_bytes(b"other")
    with pytest.raises(DataError, match=r"set\.tar: expected the checksum"):
        fetch_dataset("test:set", tmp_path / "two", accept=accept, mirror=str(tmp_path))
    with pytest.raises(DataError, match=r"expected set\.tar or a folder set, got neither"):
        fetch_dataset("test:set", tmp_path / "two", accept=accept, mirror=str(tmp_path / "data"))
    assert server.asked == []


def test_a_folder_with_the_data_set_unpacked_stands_in(tmp_path: Path, source: Source) -> None:
    fetch_dataset("test:set", tmp_path / "data", accept=accept, mirror=str(tmp_path / "made"))
    assert len(find_pairs(tmp_path / "data")) == 3
    assert len(find_pairs(tmp_path / "made" / "set")) == 3


def serve_tar(server: Server, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    server.content = buffer.getvalue()
    monkeypatch.setitem(SOURCES, "test:set", Source("t", "l", f"{server.url}/set.tar", "none", "set"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"set/images/a.png": b"", "../../evil": b"x"}, "expected files inside one folder"),
        ({"other/images/a.png": b""}, "expected a folder set in it, got none"),
        ({"set/notes.txt": b"x"}, "expected one folder images/"),
    ],
)
def test_archives_that_are_no_data_set_leave_nothing_behind(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], message: str
) -> None:
    serve_tar(server, monkeypatch, files)
    with pytest.raises(DataError, match=message):
        fetch_dataset("test:set", tmp_path / "deep" / "data", accept=accept)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_a_page_instead_of_an_archive_is_refused(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_tar(server, monkeypatch, {})
    server.content = b"<html>moved</html>"
    with pytest.raises(DataError, match="expected a zip or tar archive, got other content"):
        fetch_dataset("test:set", tmp_path / "data", accept=accept)


def test_a_folder_that_wraps_the_archive_is_passed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer, picture = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.eye(32, dtype=np.uint8)).save(picture, format="PNG")
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("image/0.png", "label/0.png"):
            file.writestr(f"unet-master/data/membrane/train/{name}", picture.getvalue())
    server.content = buffer.getvalue()
    fetch_dataset("isbi2012", tmp_path / "data", accept=accept, mirror=server.url)
    assert [pair.name for pair in find_pairs(tmp_path / "data")] == ["0"]
    assert server.asked == ["/master.zip"]


def test_unknown_names_and_full_folders_are_refused(tmp_path: Path, source: Source) -> None:
    with pytest.raises(ConfigError, match="unknown data set 'msd:Task4'; did you mean 'msd:Task0"):
        fetch_dataset("msd:Task4", tmp_path / "data", accept=accept)
    with pytest.raises(OutputError, match="expected a new or empty folder"):
        fetch_dataset("test:set", tmp_path, accept=accept)


def test_every_source_has_a_licence_an_https_address_and_a_checksum_or_says_that_it_has_none() -> None:
    for source in SOURCES.values():
        kind, _, known = source.checksum.partition(":")
        assert source.licence
        assert source.url.startswith("https://")
        assert (kind, len(known)) in (("none", 0), ("md5", 32), ("sha256", 64))
    assert fetch.SOURCES["msd:Task04_Hippocampus"].archive == "Task04_Hippocampus.tar"


@pytest.mark.parametrize("name", ["isbi2012", "msd:Task04_Hippocampus"])
def test_the_real_data_sets_come_from_a_mirror(data_root: Path, tmp_path: Path, name: str) -> None:
    target = fetch_dataset(name, tmp_path / "data", accept=accept, mirror=str(data_root))
    assert len(find_pairs(target)) == len(find_pairs(data_root / name.rpartition(":")[2]))
