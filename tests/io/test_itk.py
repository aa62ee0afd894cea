"""NRRD and MetaImage: ITK's world is turned into ours and back."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.volumes import ORIENTATIONS, SEEDS, random_affine, volume

from ushape.core import errors
from ushape.core.case import Geometry
from ushape.core.errors import DataError, MissingExtra, OutputError
from ushape.io.images import read_image, read_mask, read_raster
from ushape.io.itk import read_itk, write_itk
from ushape.io.outputs import Grid, mask_name, write_mask, write_probabilities

sitk = pytest.importorskip("SimpleITK")
ENDINGS = st.sampled_from([".nrrd", ".mha"])
LAW = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("itk")


def save(path: Path, values: np.ndarray, *, is_vector: bool = False, **place: tuple[float, ...]) -> Path:
    image = sitk.GetImageFromArray(values, isVector=is_vector)
    for name, value in place.items():
        getattr(image, f"Set{name.title()}")(value)
    sitk.WriteImage(image, str(path))
    return path


@LAW
@given(seed=SEEDS, ending=ENDINGS, index=st.tuples(*[st.integers(0, 9)] * 3))
def test_every_voxel_lies_where_itk_says(folder: Path, seed: int, ending: str, index: tuple[int, int, int]) -> None:
    direction, _ = np.linalg.qr(random_affine(seed)[:3, :3])
    place = {"spacing": (0.7, 0.8, 3.1), "origin": (1.5, -20.25, 300.0), "direction": tuple(direction.ravel())}
    path = save(folder / f"a{ending}", volume(seed), **place)
    raster = read_itk(path)
    right, anterior, superior = (raster.geometry.affine @ [*index, 1])[:3]
    expected = sitk.ReadImage(str(path)).TransformIndexToPhysicalPoint(index[::-1])
    assert np.array_equal(raster.pixels[0], volume(seed))
    assert np.allclose((-right, -anterior, superior), expected, atol=1e-9)


@LAW
@given(seed=SEEDS, ending=ENDINGS)
def test_any_grid_comes_back_also_a_sheared_one(folder: Path, seed: int, ending: str) -> None:
    geometry = Geometry.from_affine(random_affine(seed))
    write_itk(folder / f"a{ending}", volume(seed), geometry)
    again = read_itk(folder / f"a{ending}").geometry
    assert np.allclose(again.affine, geometry.affine, rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("orientation", range(48))
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_mask_has_the_place_of_its_image_in_all_48_orientations(folder: Path, orientation: int, ending: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[orientation] * [0.7, 1.1, 3.3]
    write_itk(folder / f"image{ending}", volume(), Geometry.from_affine(affine))
    raster = read_itk(folder / f"image{ending}")
    write_mask(folder / f"mask{ending}", volume() % 3, grid=Grid(raster.geometry, folder / f"image{ending}"))
    image, mask = (sitk.ReadImage(str(folder / f"{name}{ending}")) for name in ("image", "mask"))
    for get in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(image, get)() == getattr(mask, get)()
    assert np.array_equal(read_mask(folder / f"mask{ending}"), volume() % 3)
    assert mask.GetPixelIDTypeAsString() == "8-bit unsigned integer"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".nhdr"])
def test_every_type_comes_back_as_stored(tmp_path: Path, dtype: str, ending: str) -> None:
    image = read_image(save(tmp_path / f"a{ending}", volume(dtype=dtype)))
    assert (image.dtype, image.flags.writeable) == (np.dtype(dtype), True)
    assert np.array_equal(image[0], volume(dtype=dtype))


def test_components_and_a_short_fourth_axis_are_channels(tmp_path: Path) -> None:
    channels = volume(space=(2, 3, 4, 5))
    vector = save(tmp_path / "v.nrrd", np.moveaxis(channels, 0, -1), is_vector=True)
    fourth = save(tmp_path / "f.mha", channels)
    assert np.array_equal(read_image(vector), channels)
    assert np.array_equal(read_image(fourth), channels)
    assert read_raster(fourth).geometry.ndim == 3
    with pytest.raises(DataError, match="expected one volume, got 9"):
        read_image(save(tmp_path / "t.mha", volume(space=(9, 3, 4, 5))))


def test_a_picture_keeps_its_two_axes(tmp_path: Path) -> None:
    raster = read_itk(save(tmp_path / "a.mha", volume()[0], spacing=(2.0, 3.0), origin=(1.0, 2.0)))
    assert raster.pixels.shape == (1, 4, 5)
    assert (raster.geometry.spacing, raster.geometry.origin) == ((3.0, 2.0), (-1.0, -2.0))
    write_mask(tmp_path / "m.mha", volume()[0], grid=Grid(raster.geometry))
    assert read_itk(tmp_path / "m.mha").geometry == raster.geometry


def test_a_nrrd_that_does_not_say_where_it_lies_is_in_pixels(tmp_path: Path) -> None:
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 5 4 3\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + volume(dtype="uint8").tobytes())
    assert read_itk(tmp_path / "a.nrrd").geometry == Geometry.pixels(3)
    write_mask(tmp_path / "m.nrrd", volume(), grid=Grid(Geometry.pixels(3)))
    assert np.array_equal(read_mask(tmp_path / "m.nrrd"), volume())


def test_results_for_a_detached_header_are_one_file(tmp_path: Path) -> None:
    assert (mask_name(Path("a.mhd")), mask_name(Path("a.nhdr"))) == ("a.mha", "a.nrrd")
    values = np.random.default_rng(0).random((3, 3, 4, 5)).astype(np.float16)
    write_probabilities(tmp_path / "p.mha", values, grid=Grid(Geometry.pixels(3)))
    assert np.array_equal(read_image(tmp_path / "p.mha"), values.astype(np.float32))


NRRD = "NRRD0004\ntype: uint8\ndimension: 3\nspace: RAS\nsizes: 5 4 3\nspace directions: {}\nencoding: raw\n\n"


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ("(0,0,0) (0,1,0) (0,0,1)", "expected a voxel size above 0"),
        ("(1,0,0) (1,0,0) (0,0,1)", "singular affine"),
    ],
)
def test_zero_spacing_and_singular_directions_are_refused(tmp_path: Path, directions: str, message: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(NRRD.format(directions).encode() + bytes(60))
    with pytest.raises(DataError, match=rf"a\.nrrd: .*{message}.*; correct spacing and direction"):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_cut_files_are_refused_with_their_name(tmp_path: Path, ending: str) -> None:
    whole = save(tmp_path / f"whole{ending}", volume(space=(9, 9, 9))).read_bytes()
    for length in range(1, len(whole) - 8, len(whole) // 9):
        (tmp_path / f"cut{ending}").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\..*: .*; "):
            read_image(tmp_path / f"cut{ending}")


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, ending=ENDINGS)
def test_a_file_with_a_damaged_header_is_read_or_refused_but_never_crashes(
    folder: Path, seed: int, ending: str
) -> None:
    write_itk(folder / f"whole{ending}", volume(), Geometry.from_affine(np.eye(4)))
    content, rng = bytearray((folder / f"whole{ending}").read_bytes()), np.random.default_rng(seed)
    for position in rng.integers(0, 250, 2):
        content[position] = rng.integers(32, 127)
    (folder / f"flipped{ending}").write_bytes(content)
    with contextlib.suppress(DataError):
        read_image(folder / f"flipped{ending}")


def test_an_image_without_voxels_is_refused(tmp_path: Path) -> None:
    content = save(tmp_path / "a.mha", volume(), spacing=(1.0, 1.0, 1.0)).read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"DimSize = 5 4 3", b"DimSize = 0 4 3"))
    with pytest.raises(DataError, match=r"a\.mha: expected an image, got one without voxels"):
        read_image(tmp_path / "a.mha")


def test_without_simpleitk_the_pip_line_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.nrrd", volume())

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(errors.importlib, "import_module", missing)
    with pytest.raises(
        MissingExtra, match=r"a\.nrrd: reading NRRD .* needs SimpleITK; pip install 'ushape\[medical\]'"
    ):
        read_image(path)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another place"):
        write_itk(tmp_path / "file" / "m.mha", volume(), Geometry.pixels(3))
