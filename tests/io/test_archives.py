"""Archives from strangers never leave their folder, and never fill memory or disk."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ushape.core.errors import DataError
from ushape.io import archives
from ushape.io.archives import Limits, read_files, unpack

FILES = {"a/one.txt": b"1" * 50, "a/b/two.txt": b"2", "three.txt": b""}
ROOMY = Limits()


def make_zip(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.filename = name  # as it is, also with the other system's slashes
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


MAKERS = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tar}


@pytest.mark.parametrize("name", MAKERS)
def test_what_was_packed_is_unpacked(tmp_path: Path, name: str) -> None:
    written = unpack(MAKERS[name](tmp_path / name), tmp_path / "out")
    assert {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in written} == FILES
    assert dict(read_files(tmp_path / name, ROOMY)) == FILES


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "C:evil", "..\\evil", "\\evil"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, maker: str, name: str) -> None:
    path = MAKERS[maker](tmp_path / maker, {"good.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match=r"expected files inside one folder, got .*evil"):
        unpack(path, tmp_path / "out" / "deep")
    assert not [found for found in tmp_path.rglob("*evil*") if found.is_file()]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="got a link or device 'link'"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="got a link or device 'link'"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(files=2), "expected at most 2 files"),
        (Limits(total=50), "expected at most"),
        (Limits(single=49), "expected files up to"),
    ],
)
def test_more_than_the_limits_is_refused(tmp_path: Path, maker: str, limits: Limits, message: str) -> None:
    with pytest.raises(DataError, match=f"{message}.*unpack it yourself if you trust it"):
        unpack(MAKERS[maker](tmp_path / maker), tmp_path / "out", limits)


def test_what_grows_too_much_is_refused_before_it_is_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_BOMB_BYTES", 2**16)
    bomb = make_zip(tmp_path / "bomb.zip", {"zeros": bytes(2**22)})
    with pytest.raises(DataError, match=r"200 times its own size, got 1 files"):
        unpack(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a": b"x" * 1000})
    content = path.read_bytes()
    path.write_bytes(content.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "a").stat().st_size <= 10


@pytest.mark.parametrize("maker", MAKERS)
def test_every_cut_and_foreign_content_is_refused(tmp_path: Path, maker: str) -> None:
    whole = MAKERS[maker](tmp_path / "whole", {"a.bin": bytes(range(256)) * 20}).read_bytes()
    for length in range(1, min(len(whole) - 12, 5000), max(1, len(whole) // 40)):
        (tmp_path / maker).write_bytes(whole[:length])
        with pytest.raises(DataError, match="fetch or copy it again"):
            unpack(tmp_path / maker, tmp_path / "out")
    (tmp_path / maker).write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="expected a zip or tar archive"):
        unpack(tmp_path / maker, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a": b"x"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header, and that in the index
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_hidden_files_and_those_of_macos_are_left_out(tmp_path: Path) -> None:
    files = {"./a/x.txt": b"1", "a/._x.txt": b"2", ".git/config": b"3", "__MACOSX/a/x.txt": b"4"}
    written = unpack(make_tar(tmp_path / "a.tar", files), tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == ["a/x.txt"]


@pytest.mark.parametrize("maker", MAKERS)
def test_an_empty_archive_is_called_so(tmp_path: Path, maker: str) -> None:
    path = MAKERS[maker](tmp_path / maker, {})
    with pytest.raises(DataError, match="expected an archive with files, got an empty one; pack it anew"):
        unpack(path, tmp_path / "out")


def test_a_zip_that_was_cut_short_is_called_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="got one that is damaged or cut short; fetch or copy it again"):
        unpack(path, tmp_path / "out")
