"""A shelf keeps what runs prepared, within bounds, and never takes anything from a run."""

import os
from pathlib import Path

import numpy as np
import pytest

from ushape.core.case import Case, Geometry
from ushape.core.errors import OutputError
from ushape.core.files import whole_folder
from ushape.patches import shelf as shelf_module
from ushape.patches.shelf import Shelf
from ushape.patches.store import Store, write_case, write_index

KEYS = ("aa", "bb", "cc")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Three cases, used one after the other."""
    for age, key in enumerate(KEYS):
        image = np.full((1, 8, 8), float(age), dtype=np.float32)
        write_case(tmp_path / "shelf", key, Case(key, image, Geometry.pixels(2), np.ones((8, 8), dtype=np.int16)))
        os.utime(tmp_path / "shelf" / key, (age, age))
    return Shelf(tmp_path / "shelf")


def kept(shelf: Shelf) -> set[str]:
    return {path.name for path in shelf.folder.iterdir()}


def size(shelf: Shelf, key: str) -> int:
    return sum(file.stat().st_size for file in (shelf.folder / key).iterdir())


def test_what_was_not_used_for_longest_goes_first(shelf: Shelf) -> None:
    assert shelf.has("aa")
    assert not shelf.has("dd")
    shelf.trim(sum(size(shelf, key) for key in KEYS))
    assert kept(shelf) == set(KEYS)
    shelf.trim(2 * size(shelf, "aa") + 1)
    assert kept(shelf) == {"aa", "cc"}
    shelf.trim(0)
    assert kept(shelf) == set()


def test_what_killed_programs_left_is_swept_and_what_is_being_written_is_not(shelf: Shelf) -> None:
    for name, age in ((".aa-01234567", 0), (".bb-01234567", None)):
        (shelf.folder / name).mkdir()
        if age is not None:
            os.utime(shelf.folder / name, (age, age))
    shelf.trim()
    assert kept(shelf) == {*KEYS, ".bb-01234567"}


def test_a_disk_that_is_nearly_full_is_not_filled(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(size(shelf, key) for key in KEYS)
    usage = shelf_module.shutil.disk_usage(shelf.folder)
    monkeypatch.setattr(shelf_module.shutil, "disk_usage", lambda _: usage._replace(free=total // 2))
    shelf.trim()  # a quarter of 1.5 times the total
    assert kept(shelf) == {"cc"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_run_keeps_what_it_was_lent(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(shelf_module.os, "link", refuse)
    for key in KEYS:
        shelf.lend(key, tmp_path / "run")
    write_index(tmp_path / "run", [(f"case_{key}", key) for key in KEYS])
    shared = (shelf.folder / "bb" / "image.npy").stat().st_nlink
    shelf.trim(0)
    assert shared == (2 if has_links else 1)
    store = Store(tmp_path / "run")
    assert [int(store[i].image[0, 0, 0]) for i in range(3)] == [0, 1, 2]
    assert store.names == ["case_aa", "case_bb", "case_cc"]


def test_a_case_that_is_gone_is_told(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="dd"):
        shelf.lend("dd", tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_half_a_case_is_never_seen(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "case") as place:
        (place / "image.npy").touch()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_of_two_that_write_the_same_the_first_stays(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole_folder(tmp_path / "case") as place:
            (place / "file").write_text(text, encoding="utf-8")
    assert (tmp_path / "case" / "file").read_text(encoding="utf-8") == "first"
    assert len(list(tmp_path.iterdir())) == 1
