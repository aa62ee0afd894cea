"""Faults of volumes, series, archives and dataset.json: told by every verb, with the file and the remedy."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.cli.calling import Called, call, call_well
from tests.io.dicoms import AXIAL, VALUES, save_slices
from tests.io.volumes import save_nifti, volume
from tests.train.tiny import TINY, cli_arguments

SPACE = (9, 10, 11)
TINY_3D = {**TINY, "net.widths": [2, 4], "patches.size": [8, 8, 8], "predict.window.size": [8, 8, 8]}
ONE_STEP = cli_arguments({**TINY_3D, "train.epochs": 1, "train.steps_per_epoch": 1})

Spoil = Callable[[Path], object]


def image(data: Path) -> Path:
    return data / "imagesTr" / "bad.nii.gz"


def mask(data: Path) -> Path:
    return data / "labelsTr" / "bad.nii.gz"


def truth() -> np.ndarray:
    return (volume(9, SPACE) % 3).astype(np.uint8)


def write_set(data: Path) -> Path:
    for number, name in enumerate(("bad", "good_1", "good_2")):
        save_nifti(data / "imagesTr" / f"{name}.nii.gz", volume(number, SPACE))
        save_nifti(data / "labelsTr" / f"{name}.nii.gz", (volume(number, SPACE) % 3).astype(np.uint8))
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    call_well("train", write_set(folder / "data"), "-o", folder / "run", *ONE_STEP)
    return folder / "run"


def replant(kind: Callable[[Path], Path], values: np.ndarray, **header: object) -> Spoil:
    return lambda data: save_nifti(kind(data), values, **header)


def cut(kind: Callable[[Path], Path]) -> Spoil:
    return lambda data: kind(data).write_bytes(kind(data).read_bytes()[:-300])


def announce_more(data: Path) -> None:
    """A small packed file whose header announces 8 thousand million voxels."""
    header = nib.Nifti1Header()
    header.set_data_shape((2000, 2000, 2000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    image(data).write_bytes(gzip.compress(header.binaryblock + bytes(1000)))


def series(**tags: object) -> Spoil:
    def plant(data: Path) -> None:
        image(data).unlink()
        save_slices(data / "imagesTr" / "bad", **tags)  # type: ignore[arg-type]

    return plant


def packed(name: str, content: bytes) -> Spoil:
    def plant(data: Path) -> None:
        image(data).unlink()
        with zipfile.ZipFile(data / "imagesTr" / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)

    return plant


NAN = np.full(SPACE, np.nan, np.float32)
IMAGE_FAULTS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a truncated gzip": (cut(image), ("bad.nii.gz: cannot be decoded", "copy or export the file again")),
    "NaN voxels": (replant(image, NAN), ("bad.nii.gz: expected finite pixels, got 990 NaN", "replace them")),
    "a time series": (
        replant(image, volume(0, (9, *SPACE))),
        ("bad.nii.gz: expected one volume, got 9 in one file", "split it"),
    ),
    "zero spacing": (
        replant(image, volume(0, SPACE), sform_code=0, qform_code=0, pixdim=[1, 0, 1, 1, 0, 0, 0, 0]),
        ("bad.nii.gz: expected a voxel size above 0 along each axis, got 1 x 1 x 0", "correct spacing"),
    ),
    "a singular affine": (
        replant(image, volume(0, SPACE), srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0]),
        ("bad.nii.gz: expected axes that span the space, got a singular affine", "correct spacing and direction"),
    ),
    "more voxels announced than fit": (
        announce_more,
        ("bad.nii.gz: expected at most 1,074 million pixels, got 8,000 million", "copy it again"),
    ),
    "a missing slice": (
        series(ImagePositionPatient=lambda n: [0, 0, 2.0 * n + 2 * (n > 3)]),
        ("bad: expected a slice every 2 mm, got 4 mm without one", "export the whole series again"),
    ),
    "mixed orientations": (
        series(ImageOrientationPatient=lambda n: [0, 1, 0, 0, 0, 1] if n == 3 else list(AXIAL)),
        ("bad: expected slices of one orientation", "in a folder of their own"),
    ),
    "a zip bomb": (
        packed("a.dcm", bytes(2**28 + 1)),
        ("bad.zip: expected at most", "200 times its own size", "unpack it yourself if you trust it"),
    ),
    "a path that escapes": (
        packed("../../evil.dcm", b"x"),
        ("bad.zip: expected files inside one folder, got '../../evil.dcm'", "do not trust this archive"),
    ),
}
LABEL_FAULTS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a truncated mask": (cut(mask), ("bad.nii.gz: cannot be decoded", "copy or export the file again")),
    "labels with fractions": (
        replant(mask, truth().astype(np.float32) / 2),
        ("bad.nii.gz: expected whole label values, got float32 with fractions", "threshold the mask"),
    ),
    "labels with NaN": (
        replant(mask, np.where(truth() > 1, NAN, truth())),
        ("bad.nii.gz: expected whole label values, got float32 with", "NaN or infinite ones", "save it as integers"),
    ),
    "a mask that was cut off": (
        replant(mask, truth()[:-1]),
        (
            "mask has size 8x10x11 but image has 9x10x11 (z, y, x) though both begin at one place",
            "bad.nii.gz",
            "export",
        ),
    ),
    "a mask of several volumes": (
        replant(mask, volume(0, (2, *SPACE))),
        ("bad.nii.gz: expected one number per pixel, got 2 different channels", "as one volume"),
    ),
}


def describe(**changes: object) -> Spoil:
    """Plant a dataset.json; a change to None takes the key out."""
    listed = [{"image": f"imagesTr/{n}.nii.gz", "label": f"labelsTr/{n}.nii.gz"} for n in ("bad", "good_1", "good_2")]
    table = {"labels": {"0": "background", "1": "a", "2": "b"}, "modality": {"0": "CT"}, "training": listed, **changes}
    text = json.dumps({key: value for key, value in table.items() if value is not None})
    return lambda data: (data / "dataset.json").write_text(text, encoding="utf-8")


TWICE = [{"image": "imagesTr/bad.nii.gz", "label": "labelsTr/bad.nii.gz"}] * 2
SET_FAULTS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "labels misspelt": (
        describe(labels=None, label={"0": "background", "1": "a"}),
        ("dataset.json: unknown key 'label'; did you mean 'labels'?", "correct its spelling"),
    ),
    "training misspelt": (
        describe(training=None, trainig=TWICE),
        ("dataset.json: unknown key 'trainig'; did you mean 'training'?", "correct its spelling"),
    ),
    "no JSON": (
        lambda data: (data / "dataset.json").write_text("{", encoding="utf-8"),
        ("dataset.json: expected a JSON file", "correct the JSON at line 1"),
    ),
    "a case listed twice": (
        describe(training=TWICE),
        ("dataset.json: training: expected each case once, got bad in 1 and ", "take out one of each"),
    ),
    "a file that is not there": (
        describe(training=[{"image": "imagesTr/gone.nii.gz", "label": "labelsTr/bad.nii.gz"}]),
        ("dataset.json: expected the files it lists, got none for gone.nii.gz", "put them back"),
    ),
}
FAULTS = {**IMAGE_FAULTS, **LABEL_FAULTS, **SET_FAULTS}


def told(called: Called, text: str, parts: tuple[str, ...]) -> None:
    assert called.code == 1, called.out + called.err
    assert "error: " in text
    assert "Traceback" not in called.out + called.err
    for part in parts:
        assert part in text


@pytest.mark.parametrize(("spoil", "parts"), FAULTS.values(), ids=FAULTS)
def test_planning_and_the_check_tell_it_alike(data: Path, spoil: Spoil, parts: tuple[str, ...]) -> None:
    spoil(data)
    planned, checked = call("plan", data), call("data", "check", data)
    told(planned, planned.err, parts)
    told(checked, checked.out, parts)
    assert not list(data.parent.rglob("evil*"))


def test_two_files_of_one_case_are_told_by_every_verb(run: Path, data: Path, tmp_path: Path) -> None:
    (data / "imagesTr" / "bad.nii").write_bytes(gzip.decompress(image(data).read_bytes()))
    checked = call("data", "check", data)
    told(checked, checked.out, ("bad.nii.gz: shares its stem with another file", "rename or remove one of them"))
    for verb in (("plan", data), ("predict", run, data / "imagesTr", "-o", tmp_path / "out")):
        called = call(*verb)
        told(called, called.err, ("two files of one stem for bad.nii, bad.nii.gz", "rename or remove one of each"))


def test_a_mask_on_another_grid_is_resampled_with_a_warning_and_refused_by_strict(data: Path, tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 3] = 3
    save_nifti(mask(data), truth(), affine)
    checked, strictly = call_well("data", "check", data), call("data", "check", data, "--strict")
    assert "warning: " in checked.out
    told(strictly, strictly.out, ("error: ", "bad.nii.gz: mask lies on another grid than its image", "3 voxels off"))
    trained = call_well("train", data, "-o", tmp_path / "run", *ONE_STEP)
    assert "bad: its label lies on another grid; resampled onto the image's" in trained.out + trained.err
    refused = call("train", data, "-o", tmp_path / "strict", "--strict", *ONE_STEP)
    told(refused, refused.err, ("bad.nii.gz: expected the grid of its image", "3 voxels off", "leave out --strict"))
    assert not (tmp_path / "strict").exists()
    left = call_well("plan", data, "--set", "data.strict=false")
    assert "resampled" in left.out + left.err


def test_of_several_series_one_is_asked_for_by_name_or_all_are_listed(run: Path, tmp_path: Path) -> None:
    study, out = tmp_path / "study", tmp_path / "out"
    save_slices(study / "a", series="1.2.4", description="T1 native")
    save_slices(study / "b", np.flip(VALUES, 1)[:4], series="1.2.5", description="FLAIR")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", study))
    listed = call_well("info", packed, "--json").json["series"]
    assert {uid: (one["description"], one["slices"]) for uid, one in listed.items()} == {
        "1.2.4": ("T1 native", 6),
        "1.2.5": ("FLAIR", 4),
    }
    refused = call("predict", run, packed, "-o", out)
    told(refused, refused.err, ("packed.zip: expected one series, got 2", "'T1 native'", "'FLAIR'", "--series"))
    wrong = call("predict", run, packed, "-o", out, "--series", "T2")
    told(wrong, wrong.err, ("packed.zip: expected a series 'T2'", "1.2.4", "FLAIR"))
    assert not list(out.glob("*"))
    for name in ("flair", "1.2.5"):
        call_well("predict", run, packed, "-o", out / name, "--series", name)
        (written,) = (path for path in (out / name).iterdir())
        assert nib.load(written).shape == (9, 8, 4)


def test_labels_stored_as_whole_floats_train_with_a_warning_of_the_check(data: Path) -> None:
    save_nifti(mask(data), truth().astype(np.float32))
    assert "bad.nii.gz: labels stored as float32; " in call_well("data", "check", data).out
    call_well("plan", data)


def test_predicting_tells_each_bad_volume_and_goes_on_with_the_others(run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    save_nifti(source / "good.nii.gz", volume(3, SPACE))
    for number, (spoil, _) in enumerate(IMAGE_FAULTS.values()):
        folder = write_set(tmp_path / f"set_{number}")
        spoil(folder)
        (bad,) = (path for path in (folder / "imagesTr").iterdir() if path.name.startswith("bad"))
        shutil.move(bad, source / f"{number}_{bad.name}")
    called = call("predict", run, source, "-o", out)
    told(called, called.err, (f"{len(IMAGE_FAULTS)} of {len(IMAGE_FAULTS) + 1} images failed",))
    assert [path.name for path in out.iterdir()] == ["good.nii.gz"]
    lines = called.err.splitlines()
    for number, (_, parts) in enumerate(IMAGE_FAULTS.values()):
        (line,) = (line for line in lines if f"/{number}_bad" in line)
        for part in parts:
            assert part in line


def test_a_picture_among_volumes_is_told_and_the_volumes_are_predicted(run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    save_nifti(source / "good.nii.gz", volume(3, SPACE))
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(source / "a.png")
    called = call("predict", run, source, "-o", out)
    told(called, called.err, ("a.png: expected a volume for a 3D model, got a picture",))
    assert [path.name for path in out.iterdir()] == ["good.nii.gz"]
