"""Each fault that volumes can have is found, in the right file, with a remedy."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.linalg import block_diag
from tests.io.volumes import ORIENTATIONS, patch_header, save_nifti, volume

from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import Labels
from ushape.io.cases import load_case
from ushape.io.faults import Fault, check_dataset
from ushape.io.findings import gather
from ushape.io.images import read_mask
from ushape.io.layouts import find_pairs
from ushape.io.repair import fix_dataset
from ushape.prep.label_grid import resample_label_onto

SPACE = (17, 18, 19)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
LABELS = Labels(names=("background", "a", "b"), values=(0, 1, 2))


def image(folder: Path, number: int) -> Path:
    return folder / "imagesTr" / f"case_{number}.nii.gz"


def mask(folder: Path, number: int) -> Path:
    return folder / "labelsTr" / f"case_{number}.nii.gz"


def truth(seed: int) -> np.ndarray:
    return (volume(seed, SPACE) % 3).astype(np.uint8)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for number in range(4):
        save_nifti(image(tmp_path, number), volume(number, SPACE), AFFINE)
        save_nifti(mask(tmp_path, number), truth(number), AFFINE)
    return tmp_path


def describe(folder: Path, **changes: object) -> None:
    cases = [{"image": str(image(Path(), n)), "label": str(mask(Path(), n))} for n in range(4)]
    labels = {"0": "background", "1": "a", "2": "b"}
    data = {"labels": labels, "modality": {"0": "CT"}, "training": cases, **changes}
    (folder / "dataset.json").write_text(json.dumps(data), encoding="utf-8")


def only_fault(folder: Path) -> Fault:
    (fault,) = check_dataset(folder)
    assert fault.remedy
    return fault


def test_a_clean_data_set_has_no_faults_with_and_without_a_description(dataset: Path) -> None:
    assert check_dataset(dataset) == []
    describe(dataset)
    assert check_dataset(dataset) == []


def replant(kind: Callable[[Path, int], Path], values: np.ndarray, **header: object) -> Callable[[Path], Path]:
    def plant(folder: Path) -> Path:
        return save_nifti(kind(folder, 1), values, AFFINE, **header)

    return plant


def cut(folder: Path) -> Path:
    path = image(folder, 1)
    path.write_bytes(path.read_bytes()[:2000])
    return path


ERRORS = {
    "a truncated gzip": (cut, "cannot be decoded"),
    "NaN voxels": (replant(image, np.full(SPACE, np.nan, np.float32)), "expected finite pixels"),
    "a time series": (replant(image, volume(0, (9, *SPACE))), "expected one volume, got 9 in one file"),
    "a mask with channels": (replant(mask, volume(0, (2, *SPACE))), "got 2 different channels"),
    "zero spacing": (
        replant(image, volume(0, SPACE), sform_code=0, qform_code=0, pixdim=[1, 0, 1, 1, 0, 0, 0, 0]),
        "expected a voxel size above 0 along each axis, got 1 x 1 x 0",
    ),
    "a singular affine": (
        replant(image, volume(0, SPACE), srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0]),
        "got a singular affine",
    ),
    "labels with fractions": (replant(mask, truth(1).astype(np.float32) / 2), "expected whole label values"),
    "a copy of the image": (replant(mask, volume(1, SPACE)), "the mask is a copy of the image"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_keeps_from_training_is_an_error_in_its_file_and_refused(dataset: Path, name: str) -> None:
    plant, message = ERRORS[name]
    path = plant(dataset)
    found = [fault for fault in check_dataset(dataset) if fault.file == path]
    assert [fault.severity for fault in found] == ["error"]
    assert message in found[0].what
    with pytest.raises(DataError, match=rf"{path.name}.*: .*; "):
        load_case(find_pairs(dataset)[1], LABELS)


def test_a_label_elsewhere_is_a_warning_that_says_how_far(dataset: Path) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] = [0.5, 0, 0]
    save_nifti(mask(dataset, 1), truth(1), moved)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("warning", mask(dataset, 1))
    assert "another grid than its image: begins 0.5 mm away, 0.5 voxels off" in fault.what
    assert fault.remedy == "it will be resampled; ushape data check DATA --fix COPY takes over the image's header"
    moved[:3, 3] = [18.4, 0, 0]
    save_nifti(mask(dataset, 1), truth(1), moved)
    assert only_fault(dataset).remedy.startswith("it will be resampled; export it on the image's grid, or ushape")


@pytest.mark.parametrize("shift", [(19.1, 0, 0), (-500, 0, 0), (0, 0, 40)], ids=str)
def test_a_mask_beside_its_image_is_an_error_and_never_resampled_to_nothing(
    dataset: Path, shift: tuple[float, ...]
) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] = shift
    save_nifti(mask(dataset, 1), truth(1), moved)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("error", mask(dataset, 1))
    assert f"mask lies beside its image: begins {np.linalg.norm(shift):.3g} mm away" in fault.what
    with pytest.raises(
        ShapeError, match=r"case_1\.nii\.gz: expected a mask that overlaps its image, .*; correct its header"
    ):
        load_case(find_pairs(dataset)[1], LABELS, regrid=resample_label_onto)


def test_a_turned_mask_of_the_same_voxels_is_no_finding_and_read_voxel_by_voxel(dataset: Path) -> None:
    for number, turn in enumerate(ORIENTATIONS[5:45:10]):
        truth_there = nib.Nifti1Image(truth(number).T, AFFINE)
        start = nib.orientations.axcodes2ornt("RAS")
        wanted = nib.orientations.ornt_transform(start, nib.io_orientation(block_diag(turn, 1)))
        nib.save(truth_there.as_reoriented(wanted), mask(dataset, number))
    assert nib.load(mask(dataset, 1)).shape != SPACE[::-1]
    assert check_dataset(dataset, strict=True) == []
    for number, pair in enumerate(find_pairs(dataset)):
        label = load_case(pair, LABELS).label
        assert label is not None
        assert np.array_equal(label, truth(number))


def test_a_turned_mask_half_a_voxel_off_is_told_so_and_repaired(dataset: Path) -> None:
    flipped = AFFINE @ np.array([[-1.0, 0, 0, 18], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    flipped[0, 3] += 0.5
    save_nifti(mask(dataset, 1), truth(1)[:, :, ::-1], flipped)
    assert "image: begins 0.5 mm away, 0.5 voxels off" in only_fault(dataset).what
    fixed = dataset.with_name(f"{dataset.name}-fixed")
    fix_dataset(dataset, fixed)
    assert check_dataset(fixed, strict=True) == []
    assert np.array_equal(read_mask(mask(fixed, 1)), truth(1))


@pytest.mark.parametrize("part", [np.s_[:-1], np.s_[:, 2:], np.s_[:, :, :-5]], ids=str)
def test_a_mask_that_was_cut_off_is_an_error_and_never_resampled(dataset: Path, part: tuple[slice, ...]) -> None:
    save_nifti(mask(dataset, 1), truth(1)[part], AFFINE)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("error", mask(dataset, 1))
    size = "x".join(map(str, truth(1)[part].shape))
    told = f"mask has size {size} but image has 17x18x19 (z, y, x) though both begin at one place with one spacing"
    assert fault.what == told
    with pytest.raises(ShapeError, match=f"case_1: {re.escape(told)}; .*: export case_1.nii.gz again"):
        load_case(find_pairs(dataset)[1], LABELS, regrid=resample_label_onto)


def test_a_part_that_says_where_it_lies_and_a_coarser_mask_are_grids_of_their_own(dataset: Path) -> None:
    there = AFFINE.copy()
    there[2, 3] = 2  # one slice up
    save_nifti(mask(dataset, 1), truth(1)[1:], there)
    fault = only_fault(dataset)
    assert fault.severity == "warning"
    assert "16x18x19 of 2x1x1 mm on 17x18x19" in fault.what
    label = load_case(find_pairs(dataset)[1], LABELS, regrid=resample_label_onto).label
    assert label is not None
    assert np.array_equal(label[1:], truth(1)[1:])
    assert not label[0].any()
    save_nifti(mask(dataset, 1), truth(1)[:, ::2], AFFINE @ np.diag([1, 2, 1, 1]))
    assert only_fault(dataset).severity == "warning"


def test_labels_stored_as_floats_are_a_warning(dataset: Path) -> None:
    save_nifti(mask(dataset, 1), truth(1).astype(np.float32), AFFINE)
    assert only_fault(dataset).what == "labels stored as float32"


def test_a_spacing_far_from_the_others_is_a_warning(dataset: Path) -> None:
    for path in (image(dataset, 2), mask(dataset, 2)):
        patch_header(path, xyzt_units=3)
    fault = only_fault(dataset)
    assert (fault.file, fault.what) == (image(dataset, 2), "voxels of 0.002x0.001x0.001 mm, the median here is 2x1x1")


def test_a_volume_with_more_channels_than_the_others_is_an_error(dataset: Path) -> None:
    save_nifti(image(dataset, 1), volume(1, (2, *SPACE)), AFFINE)
    fault = only_fault(dataset)
    assert fault.severity == "error"
    assert "expected one number of channels, got 1 (case_0.nii.gz" in fault.what


def test_a_picture_among_volumes_is_an_error(dataset: Path) -> None:
    from PIL import Image

    for folder in ("imagesTr", "labelsTr"):
        for number in range(1, 4):
            (dataset / folder / f"case_{number}.nii.gz").unlink()
        Image.fromarray(volume(5, (20, 20), "uint8") % 3).save(dataset / folder / "case_1.png")
    Image.fromarray(volume(6, (20, 20), "uint8")).save(dataset / "imagesTr" / "case_1.png")
    assert [fault.severity for fault in check_dataset(dataset) if "pictures beside volumes" in fault.what] == ["error"]


def test_values_outside_the_named_classes_and_absent_classes_are_errors(dataset: Path) -> None:
    describe(dataset, labels={"0": "background", "1": "a", "3": "c"})
    faults = check_dataset(dataset)
    assert [(fault.severity, fault.file.name) for fault in faults] == [("error", "dataset.json"), ("error", "labelsTr")]
    held = "which 4 masks hold (case_0.nii.gz, case_1.nii.gz, case_2.nii.gz and 1 more)"
    assert [fault.what for fault in faults] == [f"no class has label values 2, {held}", "no mask holds c"]
    save_nifti(mask(dataset, 1), truth(1) + np.uint8(7) * (truth(1) == 1), AFFINE)
    assert [str(fault.what) for fault in check_dataset(dataset)][-1] == "label values 8 belong to no class"


def test_masks_that_are_all_empty_are_an_error_for_classes_with_names_too(dataset: Path) -> None:
    describe(dataset)
    for number in range(4):
        save_nifti(mask(dataset, number), np.zeros(SPACE, np.uint8), AFFINE)
    found = check_dataset(dataset)
    assert [str(fault.file.name) for fault in found if fault.severity == "error"] == ["labelsTr"]
    assert found[0].what == "no mask holds any foreground"
    assert [fault.what for fault in gather(found)[1:]] == [
        "no foreground in 4 files (case_0.nii.gz, case_1.nii.gz, case_2.nii.gz and 1 more)"
    ]


def test_a_fourth_axis_of_equal_volumes_is_told(dataset: Path) -> None:
    save_nifti(image(dataset, 1), np.stack([volume(1, SPACE)] * 2), AFFINE)
    save_nifti(mask(dataset, 2), np.stack([truth(2)] * 3), AFFINE)
    found = {fault.file: fault.what for fault in check_dataset(dataset)}
    assert found == {
        image(dataset, 1): "4D: 2 equal volumes, read as one",
        mask(dataset, 2): "4D: 3 equal volumes, read as one",
    }


def test_axes_that_are_not_perpendicular_are_told_with_what_that_means(dataset: Path) -> None:
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.4
    for kind in (image, mask):
        save_nifti(kind(dataset, 1), volume(1, SPACE) if kind is image else truth(1), sheared)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("warning", image(dataset, 1))
    assert fault.what == f"its axes are not perpendicular: {np.degrees(np.arctan(0.4)):.3g} degrees off"
    assert "distances" in fault.remedy


@pytest.mark.parametrize("changes", [{"labels": None}, {"training": [{"image": "gone"}]}, {"labels": {"a": "x"}}])
def test_a_wrong_description_is_one_error(dataset: Path, changes: dict[str, object]) -> None:
    describe(dataset, **changes)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("error", dataset / "dataset.json")


def test_the_same_volume_under_two_names_is_a_warning(dataset: Path) -> None:
    save_nifti(dataset / "imagesTr" / "case_3.nii", volume(0, SPACE), AFFINE)
    image(dataset, 3).unlink()
    assert only_fault(dataset).what == "the same pixels as case_0.nii.gz"


def test_two_files_of_one_case_name_are_errors(dataset: Path) -> None:
    (dataset / "imagesTr" / "case_1.nii").write_bytes(gzip.decompress(image(dataset, 1).read_bytes()))
    assert {fault.what for fault in check_dataset(dataset)} == {"shares its stem with another file"}


def test_a_mask_of_each_class_is_looked_at(tmp_path: Path) -> None:
    for number, case in enumerate("ab"):
        save_nifti(tmp_path / "images" / f"{case}.nii", volume(number, SPACE))
        for name, values in (("cell", truth(number) > 0), ("vessel", truth(number) > 1)):
            save_nifti(tmp_path / "masks" / name / f"{case}.nii", values.astype(np.uint8) * 255)
    assert check_dataset(tmp_path) == []
    for case in "ab":
        save_nifti(tmp_path / "masks" / "vessel" / f"{case}.nii", np.zeros(SPACE, np.uint8))
    assert (only_fault(tmp_path).severity, only_fault(tmp_path).what) == ("error", "no mask holds vessel")
    save_nifti(tmp_path / "masks" / "vessel" / "b.nii", truth(1))
    save_nifti(tmp_path / "masks" / "vessel" / "a.nii", truth(0)[1:])
    assert only_fault(tmp_path).file == tmp_path / "masks" / "vessel" / "a.nii"


def test_the_real_task_has_no_errors(data_root: Path) -> None:
    assert [fault for fault in check_dataset(data_root / "Task04_Hippocampus") if fault.severity == "error"] == []
