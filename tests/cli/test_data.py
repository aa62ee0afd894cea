"""`ushape data` as it is typed: licence first, mirrors, repaired copies, the phantom, tables of cases."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from tests.cli.calling import TINY_OPTIONS, call, call_well
from tests.io.volumes import save_nifti, volume

from ushape.core.files import read_json
from ushape.io.images import read_raster


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def mirror(blobs: Path, tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    return blobs.rename(tmp_path / "mirror" / "isbi2012").parent


def test_the_licence_is_asked_for_before_anything_is_fetched(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    called = call("data", "fetch", "isbi2012", "-o", tmp_path / "got", "--mirror", mirror)
    assert called.code == 2
    assert "licence: " in called.out
    assert "isbi2012: expected its licence to be accepted, got no; " in called.err
    assert not (tmp_path / "got").exists()
    said = call_well("data", "fetch", "isbi2012", "-o", tmp_path / "got", "--mirror", mirror, "--yes").out
    assert "licence: " in said
    assert digests(tmp_path / "got") == digests(mirror / "isbi2012")


def test_an_empty_mirror_and_an_unknown_name_are_told(mirror: Path, tmp_path: Path) -> None:
    for name, where, code, part in (
        ("dsb2018", mirror, 1, "or a folder dsb2018, got neither; check the mirror"),
        ("isbi2021", mirror, 2, "unknown data set 'isbi2021'; did you mean 'isbi2012'?"),
    ):
        called = call("data", "fetch", name, "-o", tmp_path / "got", "--mirror", where, "--yes")
        assert (called.code, "Traceback" in called.err) == (code, False)
        assert part in called.err
        assert not (tmp_path / "got").exists()


def test_a_repaired_copy_leaves_the_original_as_it_was_and_has_nothing_wrong(tmp_path: Path) -> None:
    data, fixed, space = tmp_path / "data", tmp_path / "fixed", (17, 18, 19)
    for number in range(3):
        save_nifti(data / "images" / f"c{number}.nii.gz", volume(number, space))
        label = (volume(number, space) % 3).astype(np.float32 if number == 1 else np.uint8)
        save_nifti(data / "masks" / f"c{number}.nii.gz", label)
    before = digests(data)
    said = call_well("data", "check", data, "--fix", fixed).out
    assert "c1.nii.gz: labels stored as float32" in said
    assert "repaired " in said
    assert said.endswith(f"{fixed}: 1 repaired, 0 errors remain\n")
    assert digests(data) == before
    assert "nothing wrong" in call_well("data", "check", fixed).out


def test_a_phantom_is_a_volume_of_thick_slices_that_passes_the_check(tmp_path: Path) -> None:
    data = tmp_path / "phantom"
    call_well("data", "synth", "phantom", "-o", data, "--count", 2, "--size", 64)
    raster = read_raster(data / "imagesTr" / "phantom_000.nii.gz")
    assert raster.pixels.shape == (1, 32, 64, 64)
    assert raster.geometry.spacing == (3.0, 1.0, 1.0)
    assert 0 < (read_raster(data / "labelsTr" / "phantom_000.nii.gz").pixels == 4).mean() < 0.01
    call_well("data", "check", data)


def test_a_phantom_has_the_slices_and_the_voxels_that_were_asked_for(tmp_path: Path) -> None:
    asked = ("--count", 1, "--size", 48, "--depth", 9, "--spacing", "5,0.8,0.9")
    call_well("data", "synth", "phantom", "-o", tmp_path / "phantom", *asked)
    for kind in ("imagesTr", "labelsTr"):
        raster = read_raster(tmp_path / "phantom" / kind / "phantom_000.nii.gz")
        assert raster.pixels.shape == (1, 9, 48, 48)
        assert np.allclose(raster.geometry.spacing, (5.0, 0.8, 0.9))


@pytest.mark.parametrize(
    ("kind", "options", "part"),
    [
        ("phantom", ("--spacing", "3,1"), "--spacing 3,1: expected three numbers above 0, in mm; for instance 3,1,1"),
        ("phantom", ("--spacing", "3,0,1"), "--spacing 3,0,1: expected three numbers above 0"),
        ("phantom", ("--spacing", "nan,1,1"), "expected three numbers above 0"),
        ("phantom", ("--size", 40), "size: expected at least 8x48x48 voxels, got 32x40x40"),
        ("nuclei", ("--depth", 9), "--depth 9: expected only with phantom, got nuclei"),
        ("nuclei", ("--spacing", "1,1,1"), "--spacing 1,1,1: expected only with phantom"),
    ],
)
def test_a_phantom_that_cannot_be_is_refused(tmp_path: Path, kind: str, options: tuple[object, ...], part: str) -> None:
    called = call("data", "synth", kind, "-o", tmp_path / "out", *options)
    assert called.code == 2
    assert part in called.err
    assert not (tmp_path / "out").exists()


def test_a_table_says_who_trains_who_validates_and_who_is_kept_for_a_test(blobs: Path, tmp_path: Path) -> None:
    words = ("train", "val", "test", "val", "", "train")
    rows = [f"images/case{i}.png,masks/case{i}.png,{word}" for i, word in enumerate(words)]
    (blobs / "dataset.csv").write_text("\n".join(["image,mask,split", *rows]), encoding="utf-8")
    call_well("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS, "--epochs", 1)
    splits = read_json(tmp_path / "run" / "splits.json")
    assert splits["training"] == ["case0", "case4", "case5"]
    assert splits["validation"] == ["case1", "case3"]
    assert set(splits["contents"]) == {"case0", "case1", "case3", "case4", "case5"}


def test_patients_of_a_table_are_on_one_side(blobs: Path, tmp_path: Path) -> None:
    rows = [f"images/case{i}.png,masks/case{i}.png,p{i % 3}" for i in range(6)]
    (blobs / "dataset.csv").write_text("\n".join(["image,mask,patient", *rows]), encoding="utf-8")
    call_well("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS, "--epochs", 1, "--set", "data.validation=0.34")
    held_out = read_json(tmp_path / "run" / "splits.json")["validation"]
    assert len(held_out) == 2
    assert len({int(name[-1]) % 3 for name in held_out}) == 1
