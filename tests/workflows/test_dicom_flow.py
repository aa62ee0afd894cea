"""DICOM in, masks out: series chosen, formats chosen, everything read back as it was predicted, and measured."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.io.dicoms import VALUES, save_slices
from tests.workflows.identity import expected, identity_model

from ushape.core.errors import ConfigError, DataError
from ushape.core.labels import Labels
from ushape.io.dicom import read_dicom, read_slices
from ushape.io.dicom_seg import read_dicom_seg
from ushape.io.images import read_mask, read_raster
from ushape.io.segments import place_on
from ushape.workflows.api import evaluate
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import list_failures, predict_files

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")
MODEL = identity_model(3, orientation="canonical")
BRIGHT = VALUES // 10 + 30
SEG = OutputOptions(ending="dcm")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two patients; the second with two series, below folders of their own."""
    save_slices(tmp_path / "study" / "p1", BRIGHT)
    save_slices(tmp_path / "study" / "p2" / "visit" / "t1", BRIGHT[:, ::-1], series="1.2.4", description="T1 native")
    save_slices(tmp_path / "study" / "p2" / "visit" / "flair", BRIGHT[:4], series="1.2.5", description="FLAIR")
    return tmp_path / "study"


def test_every_series_of_a_folder_gets_its_mask_and_those_that_are_several_are_listed(
    study: Path, tmp_path: Path
) -> None:
    result = predict_files(MODEL, study, tmp_path / "out", OutputOptions())
    assert [path.name for path in result.written] == ["p1.nii.gz"]
    assert np.array_equal(read_mask(result.written[0]), expected(BRIGHT))
    error = str(list_failures(result))
    for part in ("1 of 2 images failed", "p2: expected one series, got 2: ", "1.2.4 'T1 native'", "--series"):
        assert part in error


@pytest.mark.parametrize("series", ["flair", "1.2.5"])
def test_a_series_is_chosen_by_its_uid_or_its_description_wherever_it_lies(
    study: Path, tmp_path: Path, series: str
) -> None:
    for source, name in ((study, "study"), (study / "p2", "p2")):
        result = predict_files(MODEL, source, tmp_path / "out", OutputOptions(series=series))
        assert [path.name for path in result.written] == [f"{name}_flair.nii.gz"]
        assert np.array_equal(read_mask(result.written[0]), expected(BRIGHT[:4]))


def test_a_series_that_several_patients_have_is_predicted_for_each(study: Path, tmp_path: Path) -> None:
    result = predict_files(MODEL, study, tmp_path / "out", OutputOptions(series="t1"))
    assert [path.name for path in result.written] == ["p1.nii.gz", "p2_t1-native.nii.gz"]
    assert np.array_equal(read_mask(result.written[1]), expected(BRIGHT[:, ::-1]))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_dicom_seg_names_the_classes_and_lies_on_the_slices(tmp_path: Path, kind: str, packed: bool) -> None:
    folder = tmp_path / "scan"
    save_slices(folder, BRIGHT)
    source = tmp_path / "scan.zip" if packed else folder
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    options = OutputOptions(segments=kind)  # type: ignore[arg-type]
    (seg,) = predict_files(MODEL, source, tmp_path / "named.dcm", options).written
    slices = read_slices(folder)
    names, masks = read_dicom_seg(seg, slices)
    assert (names, pydicom.dcmread(seg).SegmentationType) == (["gray", "white"], kind)
    assert np.array_equal(masks, np.stack([expected(BRIGHT) == 7, expected(BRIGHT) == 255]))
    raster = place_on(read_raster(seg), read_dicom(folder).geometry, BRIGHT.shape, "seg")
    assert np.array_equal(raster.pixels[0], expected(BRIGHT))


def test_what_predict_writes_evaluate_reads(study: Path, tmp_path: Path) -> None:
    dark = BRIGHT.copy()
    dark[[0, 5]] = 0  # slices without content are left out of the file
    save_slices(tmp_path / "in" / "scan", dark)
    for name, options in (
        ("nii", OutputOptions()),
        ("seg", SEG),
        ("map", OutputOptions(ending="dcm", segments="LABELMAP")),
    ):
        predict_files(MODEL, tmp_path / "in", tmp_path / name, options)
    for predictions, truth in (("seg", "nii"), ("nii", "map"), ("seg", "map")):
        table = evaluate(tmp_path / predictions, tmp_path / truth)
        assert table.foreground_dice == 1
        assert table.cases[0].unit == "mm"


def test_a_data_set_names_the_classes_of_its_evaluation(tmp_path: Path) -> None:
    save_slices(tmp_path / "data" / "imagesTr" / "scan", BRIGHT)
    (tmp_path / "data" / "labelsTr").mkdir()
    (mask,) = predict_files(MODEL, tmp_path / "data" / "imagesTr" / "scan", tmp_path / "out", OutputOptions()).written
    (tmp_path / "data" / "labelsTr" / "scan.nii.gz").write_bytes(mask.read_bytes())
    listed = [{"image": "imagesTr/scan", "label": "labelsTr/scan.nii.gz"}]
    table = {"labels": {"0": "background", "7": "liver", "255": "tumour"}, "training": listed}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(table))
    scores = evaluate(tmp_path / "out", tmp_path / "data", tmp_path / "scores")
    assert {row.class_name for row in scores.summaries()} >= {"liver", "tumour"}
    assert "data:image/png" in (tmp_path / "scores" / "report.html").read_text(encoding="utf-8")


def test_a_seg_may_be_a_data_set_s_label(tmp_path: Path) -> None:
    from ushape.io.layouts import find_pairs, load_case

    save_slices(tmp_path / "images" / "scan", BRIGHT)
    predict_files(MODEL, tmp_path / "images" / "scan", tmp_path / "masks", SEG)
    (pair,) = find_pairs(tmp_path)
    case = load_case(pair, Labels(names=("background", "gray", "white"), values=(0, 7, 255)))
    assert case.label is not None
    assert np.array_equal(case.label, (BRIGHT > 50).astype(int) + (BRIGHT > 80))


def test_formats_and_names_that_contradict_each_other_are_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"p1: expected \.dcm, \.nii\.gz, .* for its mask, got '\.jpg'"):
        predict_files(MODEL, study / "p1", tmp_path / "out.jpg", OutputOptions())
    with pytest.raises(ConfigError, match=r"--format dcm: expected the ending of out\.nrrd, got another"):
        predict_files(MODEL, study / "p1", tmp_path / "out.nrrd", SEG)
    with pytest.raises(DataError, match=r"p1: expected one series|expected a series 'T9', got only"):
        result = predict_files(MODEL, study / "p1", tmp_path / "out", OutputOptions(series="T9"))
        raise list_failures(result) or AssertionError
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("study_name", ["study1_hippocampus_crop", "study2_hippocampus_crop"])
def test_the_real_series_come_back_pixel_by_pixel_from_every_format(
    data_root: Path, tmp_path: Path, study_name: str
) -> None:
    folder = data_root / "dicom" / study_name
    image = read_dicom(folder)
    model = identity_model(3)
    masks = {}
    for ending in ("nii.gz", "dcm", "nrrd"):
        (mask,) = predict_files(model, folder, tmp_path / ending, OutputOptions(ending=ending)).written
        raster = read_raster(mask)
        if ending == "dcm":
            raster = place_on(raster, image.geometry, image.pixels.shape[1:], "seg")
        assert raster.geometry.shift_to(image.geometry, image.pixels.shape[1:]) < 1e-3
        masks[ending] = raster.pixels[0]
    assert set(np.unique(masks["nii.gz"])) == {0, 7, 255}
    assert all(np.array_equal(mask, masks["nii.gz"]) for mask in masks.values())
