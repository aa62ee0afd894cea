"""Equal contents, equal hashes: whatever files are called, and whenever they were written."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ushape.core.errors import DataError
from ushape.io.contents import hash_pair, list_parts
from ushape.io.pairs import Pair


def files(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name.replace("__", ".") for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_only_contents_and_their_roles_count(tmp_path: Path) -> None:
    image, mask = files(tmp_path, image__png=b"image", mask__png=b"mask")
    first = hash_pair(Pair("a", image, mask))
    other = shutil.copy(image, tmp_path / "renamed.png")
    os.utime(image, (0, 0))
    assert hash_pair(Pair("b", Path(other), mask)) == first == hash_pair(Pair("a", image, mask))
    assert hash_pair(Pair("a", mask, image)) != first
    assert hash_pair(Pair("a", image)) != first
    assert hash_pair(Pair("a", image, mask, series="1.2")) != first
    mask.write_bytes(b"task")
    assert hash_pair(Pair("a", image, mask)) != first


def test_channels_count_in_their_order(tmp_path: Path) -> None:
    t1, t2 = files(tmp_path, a__png=b"t1", b__png=b"t2")
    assert hash_pair(Pair("a", t1, channels=(t1, t2))) != hash_pair(Pair("a", t1, channels=(t2, t1)))


def test_a_series_is_all_its_slices_in_any_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    files(one, a__dcm=b"1", b__dcm=b"2")
    files(other, a__dcm=b"2", b__dcm=b"1")
    assert hash_pair(Pair("s", one)) == hash_pair(Pair("s", other))
    (other / "b.dcm").write_bytes(b"3")
    assert hash_pair(Pair("s", one)) != hash_pair(Pair("s", other))


@pytest.mark.parametrize(
    ("header", "voxels"), [("scan.mhd", "scan.raw"), ("scan.mhd", "other.bin"), ("scan.nhdr", "other.raw.gz")]
)
def test_voxels_beside_a_header_belong_to_it(tmp_path: Path, header: str, voxels: str) -> None:
    path, beside = tmp_path / header, tmp_path / voxels
    path.write_text(f"ObjectType = Image\nElementDataFile = {voxels}\n", encoding="utf-8")
    beside.write_bytes(np.arange(9).tobytes())
    (tmp_path / "stranger.raw").write_bytes(b"x")
    assert list_parts(path) == [path, beside]
    before = hash_pair(Pair("scan", path))
    beside.write_bytes(np.arange(1, 10).tobytes())
    assert hash_pair(Pair("scan", path)) != before


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        hash_pair(Pair("a", tmp_path / "gone.png"))
