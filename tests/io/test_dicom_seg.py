"""DICOM-SEG: what is written on slices is read back from them, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from tests.io.dicoms import VALUES, save_slices

from ushape.core.errors import DataError, OutputError, ShapeError
from ushape.core.labels import Labels
from ushape.io.dicom import Slice, read_dicom, read_slices
from ushape.io.dicom_seg import Kind, read_dicom_seg, write_dicom_seg
from ushape.io.images import read_mask
from ushape.io.outputs import Grid, mask_name, write_mask

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")
RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 3, VALUES.shape).astype(np.int16)


@pytest.fixture
def slices(tmp_path: Path) -> list[Slice]:
    save_slices(tmp_path / "scan")
    return read_slices(tmp_path / "scan")


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_classes_come_back_pixel_by_pixel(tmp_path: Path, slices: list[Slice], kind: Kind) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", LABEL, slices, ["Liver", "my thing"], kind=kind)
    names, masks = read_dicom_seg(tmp_path / "seg.dcm", slices)
    assert names == ["Liver", "my thing"]
    assert np.array_equal(masks, np.stack([LABEL == 1, LABEL == 2]))
    assert pydicom.dcmread(tmp_path / "seg.dcm").SegmentationType == kind


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_empty_slices_absent_classes_and_empty_masks_come_back(tmp_path: Path, slices: list[Slice], kind: Kind) -> None:
    sparse = np.zeros_like(LABEL)
    for label in (sparse, np.where(np.arange(6)[:, None, None] == 2, LABEL == 1, sparse)):
        write_dicom_seg(tmp_path / "seg.dcm", label, slices, ["a", "b"], kind=kind)
        masks = read_dicom_seg(tmp_path / "seg.dcm", slices)[1]
        assert np.array_equal(masks, np.stack([label == 1, label == 2]))


def test_ignored_voxels_belong_to_no_segment(tmp_path: Path, slices: list[Slice]) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", LABEL - 1, slices, ["a"])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", slices)[1][0], LABEL == 2)


def test_classes_may_overlap_in_binary_only(tmp_path: Path, slices: list[Slice]) -> None:
    masks = RNG.random((2, *VALUES.shape)) > 0.4
    write_dicom_seg(tmp_path / "seg.dcm", masks, slices, ["whole", "core"])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", slices)[1], masks)
    with pytest.raises(ShapeError, match="use BINARY"):
        write_dicom_seg(tmp_path / "seg.dcm", masks, slices, ["whole", "core"], kind="LABELMAP")


def test_slices_are_matched_by_their_uid_not_their_order(tmp_path: Path, slices: list[Slice]) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", LABEL, slices, ["a", "b"])
    masks = read_dicom_seg(tmp_path / "seg.dcm", slices[::-1])[1]
    assert np.array_equal(masks[0], (LABEL == 1)[::-1])


def test_segments_bear_the_code_of_their_name_or_the_one_given(tmp_path: Path, slices: list[Slice]) -> None:
    codes = {"mine": ("1", "99MINE", "My thing")}
    label = RNG.integers(0, 5, VALUES.shape)
    write_dicom_seg(tmp_path / "s.dcm", label, slices, ["left kidney", "Lesion", "mine", "what"], codes=codes)
    segments = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence
    types = [segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for segment in segments]
    categories = [segment.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning for segment in segments]
    assert types == ["Kidney", "Lesion", "My thing", "Tissue"]
    assert categories[1:] == ["Morphologically Abnormal Structure", "Anatomical Structure", "Tissue"]
    assert all("RecommendedDisplayCIELabValue" in segment for segment in segments)


def test_segments_have_the_colours_and_the_values_of_the_label_table(tmp_path: Path, slices: list[Slice]) -> None:
    from highdicom.color import CIELabColor

    table = Labels(names=("0", "a", "b"), values=(0, 7, 9), colours=("#000000", "#10c020", "#ff00ff"))
    write_dicom_seg(tmp_path / "s.dcm", LABEL, slices, ["a", "b"], table=table)
    segments = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence
    expected = [CIELabColor.from_rgb(*rgb).value for rgb in ((16, 192, 32), (255, 0, 255))]
    assert [tuple(segment.RecommendedDisplayCIELabValue) for segment in segments] == expected
    assert np.unique(read_mask(tmp_path / "s.dcm")).tolist() == [0, 7, 9]


def test_empty_tags_are_filled_in_memory_only(tmp_path: Path, slices: list[Slice]) -> None:
    write_dicom_seg(tmp_path / "seg.dcm", LABEL, slices, ["a", "b"])
    assert pydicom.dcmread(tmp_path / "seg.dcm").PatientID == ""
    assert "PatientID" not in slices[0].header
    assert all("PatientID" not in pydicom.dcmread(file) for file in (tmp_path / "scan").iterdir())


def test_what_does_not_fit_is_refused(tmp_path: Path, slices: list[Slice]) -> None:
    with pytest.raises(ShapeError, match=r"expected a mask of \(6, 8, 9\) like its slices, got \(5, 8, 9\)"):
        write_dicom_seg(tmp_path / "seg.dcm", LABEL[:5], slices, ["a", "b"])
    (tmp_path / "no.dcm").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"no\.dcm: cannot be read as DICOM-SEG"):
        read_dicom_seg(tmp_path / "no.dcm", slices)
    with pytest.raises(DataError, match="cannot be read as DICOM-SEG"):
        read_dicom_seg(next((tmp_path / "scan").iterdir()), slices)
    write_dicom_seg(tmp_path / "seg.dcm", LABEL, slices, ["a", "b"])
    save_slices(tmp_path / "other", series="1.2.7")
    with pytest.raises(DataError, match="got one of others"):
        read_dicom_seg(tmp_path / "seg.dcm", read_slices(tmp_path / "other"))
    with pytest.raises(OutputError, match="cannot be written"):
        write_dicom_seg(tmp_path / "no.dcm" / "seg.dcm", LABEL, slices, ["a", "b"])


def test_slices_without_what_cannot_be_empty_are_refused(tmp_path: Path) -> None:
    save_slices(tmp_path / "scan", StudyInstanceUID=None)
    with pytest.raises(DataError, match=r"cannot be made of these slices .*; write NIfTI instead"):
        write_dicom_seg(tmp_path / "seg.dcm", LABEL, read_slices(tmp_path / "scan"), ["a", "b"])


@pytest.mark.parametrize("study", ["study1", "study2"])
def test_masks_of_the_real_series_come_back_from_seg_and_nifti(data_root: Path, tmp_path: Path, study: str) -> None:
    folder = data_root / "dicom" / f"{study}_hippocampus_crop"
    raster, slices = read_dicom(folder), read_slices(folder)
    label = RNG.integers(0, 3, raster.pixels.shape[1:])
    write_dicom_seg(tmp_path / "seg.dcm", label, slices, ["Anterior", "Posterior"])
    assert np.array_equal(read_dicom_seg(tmp_path / "seg.dcm", slices)[1], np.stack([label == 1, label == 2]))
    target = tmp_path / mask_name(folder)
    write_mask(target, label, grid=Grid(raster.geometry, folder))
    assert target.name.endswith("_crop.nii.gz")
    assert np.array_equal(read_mask(target), label)
