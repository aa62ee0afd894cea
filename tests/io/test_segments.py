"""DICOM-SEG as a mask like any other: its values, its place, and what it must not be."""

from pathlib import Path

import numpy as np
import pytest
from tests.io.dicoms import VALUES, save_slices

from ushape.core.errors import ConfigError, DataError, ShapeError
from ushape.core.labels import Labels
from ushape.io.dicom import read_dicom, read_slices
from ushape.io.dicom_seg import Kind, write_dicom_seg
from ushape.io.faults import check_dataset
from ushape.io.images import read_mask, read_raster
from ushape.io.masks import read_both, read_label
from ushape.io.outputs import Grid, write_mask
from ushape.io.results import check_format, result_name, write_result
from ushape.io.segments import place_on

pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")
LABELS = Labels(names=("background", "Liver", "thing"), values=(0, 100, 255))
TILT = {"ImagePositionPatient": lambda n: [-10.0, 5.0 + 0.7 * n, 2.0 * n]}
OBLIQUE = {
    "ImageOrientationPatient": [0.8, 0.6, 0.0, 0.0, 0.0, -1.0],
    "ImagePositionPatient": lambda n: [10.0 - 1.2 * n, 1.6 * n, 3.0],
}


def some_label(*rows: int) -> np.ndarray:
    label = np.zeros(VALUES.shape, dtype=np.int16)
    for row in rows:
        label[row] = np.random.default_rng(row).integers(0, 3, VALUES.shape[1:])
    return label


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("tags", [{}, TILT, OBLIQUE], ids=["axial", "tilted", "oblique"])
@pytest.mark.parametrize("rows", [(0, 1, 2, 3, 4, 5), (1, 4), (3,), ()], ids=str)
def test_values_come_back_on_the_grid_of_the_slices(
    tmp_path: Path, kind: Kind, tags: dict[str, object], rows: tuple[int, ...]
) -> None:
    save_slices(tmp_path / "scan", **tags)
    image, label = read_dicom(tmp_path / "scan"), some_label(*rows)
    grid = Grid(image.geometry, tmp_path / "scan")
    write_result(tmp_path / "seg.dcm", label, LABELS, grid, kind=kind)
    raster = place_on(read_raster(tmp_path / "seg.dcm"), image.geometry, VALUES.shape, "seg")
    assert np.array_equal(raster.pixels[0], LABELS.decode(label))
    write_mask(tmp_path / "mask.nii.gz", LABELS.decode(label), grid=grid)
    (one, here), (other, there) = read_both([tmp_path / "seg.dcm"], [tmp_path / "mask.nii.gz"], LABELS)
    assert np.array_equal(one, label)
    assert np.array_equal(other, label)
    assert here.shift_to(there, VALUES.shape) < 1e-3


def test_two_files_of_different_slices_are_read_on_a_grid_that_holds_both(tmp_path: Path) -> None:
    save_slices(tmp_path / "scan")
    grid = Grid(read_dicom(tmp_path / "scan").geometry, tmp_path / "scan")
    for name, rows in (("a.dcm", (0, 1)), ("b.dcm", (3,))):
        write_result(tmp_path / name, some_label(*rows), LABELS, grid)
    (one, here), (other, there) = read_both([tmp_path / "a.dcm"], [tmp_path / "b.dcm"], LABELS)
    assert here == there
    assert np.array_equal(one, some_label(0, 1)[:4])
    assert np.array_equal(other, some_label(3)[:4])


def test_slices_left_out_of_a_segmentation_are_no_fault_of_a_data_set(tmp_path: Path) -> None:
    for number, rows in enumerate([(0, 1), (2, 3), (5,)]):
        save_slices(tmp_path / "images" / f"scan{number}", VALUES + number)
        grid = Grid(read_dicom(tmp_path / "images" / f"scan{number}").geometry, tmp_path / "images" / f"scan{number}")
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_result(tmp_path / "masks" / f"scan{number}.dcm", some_label(*rows), LABELS, grid)
    assert [fault for fault in check_dataset(tmp_path) if "only 6x8x9 voxels" not in fault.what] == []


def test_segments_that_overlap_come_back_apart(tmp_path: Path) -> None:
    save_slices(tmp_path / "scan")
    labels = Labels(names=("background", "whole", "core"), values=(0, 1, 2), overlap="files")
    masks = np.random.default_rng(0).random((2, *VALUES.shape)) > 0.4
    for label in (masks, masks & [[[[True]]], [[[False]]]]):
        grid = Grid(read_dicom(tmp_path / "scan").geometry, tmp_path / "scan")
        write_result(tmp_path / "seg.dcm", label, labels, grid)
        assert np.array_equal(read_label([tmp_path / "seg.dcm"], labels)[0], label)
    with pytest.raises(DataError, match=r"seg\.dcm: expected 3 classes \(a, b, c\), got 2"):
        write_result(tmp_path / "seg.dcm", masks, labels, grid)
        names = ("background", "a", "b", "c")
        read_label([tmp_path / "seg.dcm"], Labels(names=names, values=(0, 1, 2, 3), overlap="files"))


def test_what_is_no_segmentation_of_these_slices_is_refused(tmp_path: Path) -> None:
    files = save_slices(tmp_path / "scan")
    with pytest.raises(DataError, match=r"000\.dcm: expected a DICOM-SEG, got CT Image Storage; .* give the folder"):
        read_mask(files[0])
    write_dicom_seg(tmp_path / "seg.dcm", some_label(2), read_slices(tmp_path / "scan"), ["a", "b"])
    save_slices(tmp_path / "other", PixelSpacing=[0.5, 0.8])
    other = read_dicom(tmp_path / "other").geometry
    with pytest.raises(ShapeError, match="expected frames on the slices of its image, got others"):
        place_on(read_raster(tmp_path / "seg.dcm"), other, VALUES.shape, "seg.dcm")
    whole = (tmp_path / "seg.dcm").read_bytes()
    (tmp_path / "seg.dcm").write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"seg\.dcm: cannot be decoded"):
        read_mask(tmp_path / "seg.dcm")


@pytest.mark.parametrize(
    ("name", "ending", "expected"),
    [
        ("a.png", "", "a.png"),
        ("a.jpg", "tif", "a.tif"),
        ("a.nii", "NII.GZ", "a.nii.gz"),
        ("a.mhd", "nrrd", "a.nrrd"),
        ("a.zip", ".dcm", "a.dcm"),
        ("a.zip", "", "a.nii.gz"),
    ],
)
def test_masks_get_the_format_that_is_asked_for(name: str, ending: str, expected: str) -> None:
    assert result_name(Path(name), ending=ending) == expected


@pytest.mark.parametrize(
    ("name", "ending"), [("a.png", ".nrrd"), ("a.nii.gz", ".png"), ("a.nrrd", ".dcm"), ("a.zip", ".jpg")]
)
def test_formats_that_cannot_hold_a_mask_are_refused(name: str, ending: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: expected .* for its mask, got '{ending}'.*; choose one with"):
        check_format(Path(name), ending)
