"""A repaired copy has no faults left that could be put right, and the original is as it was."""

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.io.volumes import random_affine, save_nifti, volume

from ushape.core.errors import DataError, OutputError
from ushape.io.faults import check_dataset
from ushape.io.images import read_image, read_mask
from ushape.io.nifti import read_header
from ushape.io.repair import fix_dataset
from ushape.io.synthetic import write_nuclei
from ushape.prep.label_grid import resample_label_onto

SPACE = (17, 18, 19)
AFFINE = random_affine(7, orthonormal=True)
TRUTH = (volume(0, SPACE) % 3).astype(np.uint8)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for number in range(3):
        save_nifti(tmp_path / "set" / "images" / f"c{number}.nii.gz", volume(number, SPACE), AFFINE, qform_code=3)
        save_nifti(tmp_path / "set" / "masks" / f"c{number}.nii.gz", TRUTH, AFFINE, qform_code=3)
    return tmp_path / "set"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_nuclei(tmp_path / "set", count=3, size=(64, 48))
    return tmp_path / "set"


def fingerprint(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_clean_data_set_is_copied_as_it_is(volumes: Path, tmp_path: Path) -> None:
    assert fix_dataset(volumes, tmp_path / "new") == []
    assert fingerprint(volumes) == fingerprint(tmp_path / "new")


def test_float_labels_become_integers_under_their_own_header(volumes: Path, tmp_path: Path) -> None:
    path = save_nifti(volumes / "masks" / "c1.nii.gz", TRUTH.astype(np.float64), AFFINE, sform_code=4)
    before = fingerprint(volumes)
    (repair,) = fix_dataset(volumes, tmp_path / "new")
    fixed = tmp_path / "new" / "masks" / "c1.nii.gz"
    assert str(repair) == f"{Path('masks') / 'c1.nii.gz'}: integers, was float64"
    assert nib.load(fixed).get_data_dtype() == np.uint8
    assert np.array_equal(read_mask(fixed), TRUTH)
    assert read_header(fixed)["sform_code"] == 4
    assert nib.load(fixed).affine.tobytes() == nib.load(path).affine.tobytes()
    assert check_dataset(tmp_path / "new") == []
    assert fingerprint(volumes) == before


def test_a_grid_that_is_slightly_off_becomes_the_images(volumes: Path, tmp_path: Path) -> None:
    off = AFFINE.copy()
    off[0, 3] += 0.5 * np.linalg.norm(AFFINE[:3, :3], axis=0).min()
    save_nifti(volumes / "masks" / "c1.nii.gz", TRUTH, off)
    (repair,) = fix_dataset(volumes, tmp_path / "new")
    assert repair.done == ("its image's header, was 0.5 voxels off",)
    header = read_header(tmp_path / "new" / "masks" / "c1.nii.gz")
    assert header["srow_x"].tobytes() == read_header(volumes / "images" / "c1.nii.gz")["srow_x"].tobytes()
    assert header["qform_code"] == 3
    assert check_dataset(tmp_path / "new") == []


def test_a_grid_that_is_far_off_is_left_to_the_user(volumes: Path, tmp_path: Path) -> None:
    off = AFFINE.copy()
    off[0, 3] += 3 * np.linalg.norm(AFFINE[:3, :3], axis=0).min()
    save_nifti(volumes / "masks" / "c1.nii.gz", TRUTH, off)
    assert fix_dataset(volumes, tmp_path / "new") == []
    assert [fault.severity for fault in check_dataset(tmp_path / "new")] == ["warning"]


def test_a_mask_that_training_would_resample_is_resampled(volumes: Path, tmp_path: Path) -> None:
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] -= AFFINE[:3, :3] @ (0.25, 0.25, 0.25)
    doubled = TRUTH.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    save_nifti(volumes / "masks" / "c1.nii.gz", doubled, fine)
    cut = save_nifti(volumes / "masks" / "c2.nii.gz", TRUTH[:-2], AFFINE)
    (repair,) = fix_dataset(volumes, tmp_path / "new", regrid=resample_label_onto)
    assert (repair.file.name, repair.done) == ("c1.nii.gz", ("resampled onto its image's grid",))
    assert np.array_equal(read_mask(tmp_path / "new" / "masks" / "c1.nii.gz"), TRUTH)
    (fault,) = check_dataset(tmp_path / "new", strict=True)
    assert fault.file.name == cut.name


def test_masks_of_equal_channels_become_gray(pictures: Path, tmp_path: Path) -> None:
    path = pictures / "masks" / "nuclei_001.png"
    truth = read_mask(path)
    Image.fromarray(np.dstack([truth] * 3)).save(path)
    (repair,) = fix_dataset(pictures, tmp_path / "new")
    assert repair.done == ("one channel, was 3 equal ones",)
    with Image.open(tmp_path / "new" / "masks" / "nuclei_001.png") as fixed:
        assert fixed.mode == "L"
    assert np.array_equal(read_mask(tmp_path / "new" / "masks" / "nuclei_001.png"), truth)
    assert (tmp_path / "new" / "README.txt").is_file()


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_turned_pictures_are_stored_upright(pictures: Path, tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("images", "masks"):
        path = pictures / name / "nuclei_001.png"
        with Image.open(path) as picture:
            turned = picture.rotate(90, expand=True)
        path.unlink()
        turned.save(path.with_suffix(ending if name == "images" else ".png"), exif=exif)
    repairs = fix_dataset(pictures, tmp_path / "new")
    assert [repair.done for repair in repairs] == [("turned upright, was EXIF orientation 6",)] * 2
    assert check_dataset(tmp_path / "new") == []
    original = pictures / "images" / f"nuclei_001{ending}"
    assert np.array_equal(read_image(tmp_path / "new" / "images" / "nuclei_001.png"), read_image(original))


def test_what_cannot_be_read_is_copied_and_named(volumes: Path, tmp_path: Path) -> None:
    (volumes / "masks" / "c1.nii.gz").write_bytes(b"hello")
    save_nifti(volumes / "masks" / "c2.nii.gz", TRUTH / 2, AFFINE)
    repairs = fix_dataset(volumes, tmp_path / "new")
    assert [repair.file.name for repair in repairs] == ["c1.nii.gz", "c2.nii.gz"]
    assert "copied as it is: " in str(repairs[0])
    assert fingerprint(volumes) == fingerprint(tmp_path / "new")


def test_files_in_a_list_keep_their_names(pictures: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("images", "masks"):
        with Image.open(pictures / name / "nuclei_000.png") as picture:
            picture.save(pictures / name / "a.jpg" if name == "images" else pictures / name / "a.png", exif=exif)
    pairs = [{"image": "images/a.jpg", "label": "masks/a.png"}]
    (pictures / "dataset.json").write_text(json.dumps({"labels": {"cell": 255}, "training": pairs}))
    image, mask = fix_dataset(pictures, tmp_path / "new")
    assert (image.done, mask.done) == ((), ("turned upright, was EXIF orientation 3",))
    assert "only a PNG of 8 bits can be written upright" in image.reason
    assert (tmp_path / "new" / "images" / "a.jpg").is_file()


def test_places_that_would_touch_the_original_are_refused(volumes: Path, tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    for target in (volumes, volumes / "new", tmp_path):
        with pytest.raises(OutputError, match="beside the data set"):
            fix_dataset(volumes, target)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match="expected a new or empty folder"):
        fix_dataset(volumes, tmp_path / "full")
    (tmp_path / "full" / "x").unlink()
    assert fingerprint(tmp_path) == before
    fix_dataset(volumes, tmp_path / "full")
    assert fingerprint(tmp_path / "full") == fingerprint(volumes)


def test_files_outside_the_folder_are_refused(volumes: Path, tmp_path: Path) -> None:
    save_nifti(tmp_path / "far.nii.gz", volume(0, SPACE))
    (volumes / "dataset.csv").write_text("image,mask\n../far.nii.gz,masks/c0.nii.gz\n")
    with pytest.raises(DataError, match="expected all files in the data set's folder"):
        fix_dataset(volumes, tmp_path / "new")
    assert not (tmp_path / "new").exists()
