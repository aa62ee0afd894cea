"""What took long to make is found again, as long as it is whole and there is room."""

import os
from pathlib import Path

from ushape.core.cache import Shelf


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", most=2)
    for age, name in ((30, "first"), (20, "second")):
        shelf.keep(name, name.encode())
        (newest,) = [path for path in shelf.folder.iterdir() if path.stat().st_mtime > 10**9]
        os.utime(newest, (10**9 - age, 10**9 - age))
    assert shelf.find("first") == b"first"  # used just now
    shelf.keep("third", b"third")
    assert [shelf.find(name) for name in ("first", "second", "third")] == [b"first", None, b"third"]


def test_what_is_too_large_or_damaged_or_cannot_be_written_is_not_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", largest=4)
    shelf.keep("large", b"12345")
    assert shelf.find("large") is None
    shelf.keep("small", b"1234")
    (path,) = shelf.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"5")
    assert shelf.find("small") is None
    (tmp_path / "file").touch()
    blocked = Shelf(tmp_path / "file" / "shelf")
    blocked.keep("name", b"1")
    assert blocked.find("name") is None
