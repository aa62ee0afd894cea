"""DICOM series: found, chosen, ordered, refused where they make no volume."""

import contextlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.io.dicoms import AXIAL, VALUES, save_slice, save_slices
from tests.io.volumes import SEEDS

from ushape.core import errors
from ushape.core.errors import DataError, MissingExtra
from ushape.core.labels import Labels
from ushape.io.dicom import find_series, is_dicom_folder, list_series, read_dicom
from ushape.io.images import read_image, read_raster
from ushape.io.layouts import Pair, find_images, find_inputs, find_pairs, load_case
from ushape.io.outputs import Grid, write_mask

pydicom = pytest.importorskip("pydicom")


def pack(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.dcm")):
            archive.write(path, path.relative_to(folder))
    return target


def test_slices_are_ordered_by_where_they_lie(tmp_path: Path) -> None:
    save_slices(tmp_path / "scan")
    raster = read_dicom(tmp_path / "scan")
    assert np.array_equal(raster.pixels[0], VALUES)
    assert raster.pixels.dtype == np.int16
    assert raster.geometry.spacing == (2.0, 0.5, 0.75)
    assert raster.geometry.origin == (10.0, -5.0, 0.0)
    assert raster.geometry.direction == ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_any_orientation_is_read_as_itk_reads_it(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = tmp_path_factory.mktemp("tilted")
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    normal = np.cross(turn[0], turn[1])

    def position(number: int) -> list[float]:
        return (10 + 2.5 * number * normal).round(9).tolist()

    save_slices(folder, ImageOrientationPatient=[*turn[0].round(9), *turn[1].round(9)], ImagePositionPatient=position)
    raster = read_dicom(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    right, anterior, superior = (raster.geometry.affine @ [2, 3, 4, 1])[:3]
    assert np.array_equal(raster.pixels[0], sitk.GetArrayFromImage(image))
    assert np.allclose((-right, -anterior, superior), image.TransformIndexToPhysicalPoint((4, 3, 2)), atol=1e-4)


def test_a_tilted_gantry_makes_a_sheared_grid(tmp_path: Path) -> None:
    save_slices(tmp_path, ImagePositionPatient=lambda n: [0.0, 0.5 * n, 2.0 * n])
    step = read_dicom(tmp_path).geometry
    assert np.allclose(np.multiply(step.direction[0], step.spacing[0]), (0, -0.5, 2))


def test_slope_and_intercept_make_hounsfield_units(tmp_path: Path) -> None:
    stored = (VALUES + 1024).astype(np.uint16)
    save_slices(tmp_path / "ct", stored, RescaleSlope=1, RescaleIntercept=-1024)
    image = read_image(tmp_path / "ct")
    assert image.dtype == np.int16
    assert np.array_equal(image[0], VALUES)
    save_slices(tmp_path / "pet", stored, RescaleSlope=lambda n: 0.5 + n, RescaleIntercept=0)
    expected = stored * (0.5 + np.arange(6, dtype=np.float32))[:, None, None]
    assert np.array_equal(read_image(tmp_path / "pet")[0], expected)


def test_a_zip_is_read_like_its_folder(tmp_path: Path) -> None:
    save_slices(tmp_path / "scan" / "deep")
    raster = read_raster(pack(tmp_path / "scan", tmp_path / "scan.zip"))
    assert np.array_equal(raster.pixels[0], VALUES)
    assert raster.geometry == read_dicom(tmp_path / "scan").geometry


@pytest.mark.parametrize("packed", [False, True])
def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path, packed: bool) -> None:
    save_slices(tmp_path / "s" / "a", series="1.2.3", description="T1 native")
    save_slices(tmp_path / "s" / "b", VALUES[:4] + 1, series="1.2.4", description="FLAIR")
    path = pack(tmp_path / "s", tmp_path / "s.zip") if packed else tmp_path / "s"
    assert [(one.uid, one.slices, one.size) for one in list_series(path)] == [
        ("1.2.3", 6, (8, 9)),
        ("1.2.4", 4, (8, 9)),
    ]
    with pytest.raises(
        DataError, match=r"got 2: 1\.2\.3 'T1 native' \(CT, 6 slices of 8x9\); .*; choose one with --series, by its UID"
    ):
        read_dicom(path)
    for choice in ("1.2.4", "flair", "2.4", ".4"):
        assert np.array_equal(read_dicom(path, series=choice).pixels[0], VALUES[:4] + 1)
        assert {word: one.uid for word, one in find_series(path, choice).items()} == {"flair": "1.2.4"}
        assert [(pair.name, pair.series) for pair in find_inputs(path, series=choice)] == [("s_flair", "1.2.4")]
    with pytest.raises(DataError, match=r"expected a series '1\.2', got only .* give a UID, its end, or a part"):
        read_dicom(path, series="1.2")
    with pytest.raises(DataError, match="expected a series 'T2', got only"):
        read_dicom(path, series="T2")
    assert load_case(Pair("s", path, series="1.2.4")).space == (4, 8, 9)


def test_folders_zips_and_parents_of_series_can_be_predicted(tmp_path: Path) -> None:
    save_slices(tmp_path / "all" / "p2")
    save_slices(tmp_path / "all" / "p10")
    pack(tmp_path / "all" / "p2", tmp_path / "all" / "p1.zip")
    assert [path.name for path in find_images(tmp_path / "all")] == ["p1.zip", "p2", "p10"]
    assert find_images(tmp_path / "all" / "p2") == [tmp_path / "all" / "p2"]
    (pair,) = find_inputs(tmp_path / "all" / "p1.zip", series="T1")
    assert (pair.name, pair.series) == ("p1", "1.2.3")
    assert load_case(pair).space == VALUES.shape


def without(number: int) -> object:
    def remove(files: list[Path]) -> None:
        places = [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in files]
        files[places.index(2.0 * number)].unlink()

    return remove


def test_without_pydicom_the_pip_line_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_slices(tmp_path / "scan")
    path = pack(tmp_path / "scan", tmp_path / "scan.zip")

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(errors.importlib, "import_module", missing)
    for place in (path, tmp_path / "scan"):
        with pytest.raises(MissingExtra, match=r"reading DICOM needs pydicom.*; pip install 'ushape\[medical\]'"):
            read_image(place)


def test_folders_of_slices_pair_with_mask_files(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        save_slices(tmp_path / "images" / name)
        raster = read_dicom(tmp_path / "images" / name)
        write_mask(tmp_path / "masks" / f"{name}.nii.gz", VALUES % 2, grid=Grid(raster.geometry))
    pairs = find_pairs(tmp_path)
    case = load_case(pairs[1], Labels(values=(0, 1)))
    assert [pair.name for pair in pairs] == ["p1", "p2"]
    assert case.label is not None
    assert np.array_equal(case.label, VALUES % 2)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"ImagePositionPatient": lambda n: [0, 0, 2.0 * n + 2 * (n > 3)]}, "slice every 2 mm, got 4 mm without one"),
        (
            {"ImagePositionPatient": lambda n: [0, 0, 2.0 * max(n, 1)]},
            r"one slice at each place, got several at 2 mm \(00\d\.dcm and 00\d\.dcm\)",
        ),
        (
            {"ImagePositionPatient": lambda n: [0, 0, 2.0 * n + 0.5 * (n > 3)]},
            "at even distances, got gaps from 2 to 2.5 mm; reconstruct",
        ),
        ({"ImagePositionPatient": None}, r"got 6 images such as 000\.dcm without: nothing says where"),
        ({"ImagePositionPatient": lambda n: [5.0 * (n == 2), 0, 2.0 * n]}, "along a line, got some shifted sideways"),
        (
            {"ImageOrientationPatient": lambda n: [0, 1, 0, 0, 0, 1] if n == 3 else list(AXIAL)},
            r"of one orientation, got [01, ]{16} \(00\d.dcm\) and [01, ]{16} \(00\d.dcm\)",
        ),
        ({"PixelSpacing": lambda n: [0.5, 0.75 + (n == 3)]}, r"one pixel size, got 0\.5 x .*folder of their own"),
        ({"PixelSpacing": None}, "got one without PixelSpacing"),
        ({"NumberOfFrames": 5}, "expected one slice a file, got a file of 5 frames"),
        ({"PixelSpacing": [0, 0.5]}, "voxel size above 0"),
    ],
)
def test_slices_that_make_no_volume_are_refused(tmp_path: Path, tags: dict[str, object], message: str) -> None:
    save_slices(tmp_path / "bad", **tags)
    with pytest.raises(DataError, match=rf"bad: .*{message}.*"):
        read_image(tmp_path / "bad")


def test_a_missing_slice_is_named_by_its_place(tmp_path: Path) -> None:
    files = save_slices(tmp_path / "bad")
    without(3)(files)  # type: ignore[operator]
    with pytest.raises(DataError, match=r"got 4 mm without one after 4 mm \(missing slices\?\)"):
        read_image(tmp_path / "bad")


def test_slices_of_different_sizes_are_refused(tmp_path: Path) -> None:
    save_slices(tmp_path / "bad")
    tags = {"SeriesInstanceUID": "1.2.3", "ImagePositionPatient": [-10, 5, 12], "ImageOrientationPatient": list(AXIAL)}
    save_slice(tmp_path / "bad" / "x.dcm", VALUES[0, :7], "1.9", tags)
    with pytest.raises(DataError, match=r"slices of one size, got 8 x 9 \(000\.dcm\) and 7 x 9 \(x\.dcm\)"):
        read_image(tmp_path / "bad")


def test_damaged_slices_are_refused(tmp_path: Path) -> None:
    files = save_slices(tmp_path / "bad")
    files[2].write_bytes(files[2].read_bytes()[:-50])
    with pytest.raises(DataError, match=rf"{files[2].name}: cannot be decoded .*; copy or export"):
        read_image(tmp_path / "bad")


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_every_cut_of_a_slice_is_refused_with_its_name(tmp_path: Path) -> None:
    files = save_slices(tmp_path / "bad")
    whole = files[2].read_bytes()
    for length in range(133, len(whole), 17):
        files[2].write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"bad.*: .*; (copy or export the file|export the series) again"):
            read_image(tmp_path / "bad")


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it reads on where it can, and says so
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_a_slice_with_flipped_bytes_is_read_or_refused_but_never_crashes(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rng = tmp_path_factory.mktemp("flipped"), np.random.default_rng(seed)
    file = save_slices(folder, VALUES[:2])[0]
    content = bytearray(file.read_bytes())
    for position in rng.integers(132, len(content) - 144, 2):
        content[position] = rng.integers(256)
    file.write_bytes(content)
    with contextlib.suppress(DataError):
        read_image(folder)


def test_what_is_no_slice_is_passed_over(tmp_path: Path) -> None:
    files = save_slices(tmp_path / "scan")
    tags = {"Rows": None, "Columns": None, "PixelData": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}
    save_slice(tmp_path / "scan" / "report.dcm", VALUES[0], "1.8", tags)
    (tmp_path / "scan" / "README.txt").write_text("hello")
    (tmp_path / "scan" / ".hidden.dcm").write_bytes(files[0].read_bytes())
    assert read_image(tmp_path / "scan").shape == (1, *VALUES.shape)
    assert is_dicom_folder(tmp_path / "scan")


def test_a_zip_without_slices_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="expected a DICOM series, got no slice"):
        read_image(tmp_path / "a.zip")


def test_a_single_slice_is_as_thick_as_it_says(tmp_path: Path) -> None:
    save_slices(tmp_path, VALUES[:1])
    assert read_dicom(tmp_path).geometry.spacing == (3.0, 0.5, 0.75)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
def test_lossless_compressions_are_decoded(tmp_path: Path, syntax: str) -> None:
    for file in save_slices(tmp_path):
        header = pydicom.dcmread(file)
        header.compress(syntax)
        header.save_as(file)
    assert np.array_equal(read_image(tmp_path)[0], VALUES)


def test_what_pydicom_cannot_decode_itk_does(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    stored = (VALUES + 300).astype(np.uint16)
    for file in save_slices(tmp_path, stored, RescaleSlope=1, RescaleIntercept=-300):
        header = pydicom.dcmread(file)
        code = imagecodecs.jpeg2k_encode(header.pixel_array, level=0, codecformat="j2k", reversible=True)
        header.PixelData = encapsulate([code])
        header["PixelData"].VR = "OB"
        header.file_meta.TransferSyntaxUID = JPEG2000Lossless
        header.save_as(file)
    assert np.array_equal(read_image(tmp_path)[0], VALUES)


@pytest.mark.parametrize(("study", "slices"), [("study1", 32), ("study2", 35)])
def test_the_real_series_are_read_as_itk_reads_them(data_root: Path, study: str, slices: int) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = data_root / "dicom" / f"{study}_hippocampus_crop"
    raster = read_dicom(folder)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    assert len(raster.pixels[0]) == slices
    assert np.array_equal(raster.pixels[0], sitk.GetArrayFromImage(sitk.ReadImage(names)))
    assert [pair.image.name for pair in find_inputs(data_root / "dicom")] == sorted(
        path.name for path in (data_root / "dicom").iterdir()
    )
