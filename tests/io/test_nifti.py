"""NIfTI: what nibabel writes is read as it lies, and masks take over their image's header bit by bit."""

import contextlib
import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.volumes import ORIENTATIONS, SEEDS, patch_header, random_affine, save_nifti, volume

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.io.images import read_image, read_mask, read_raster
from ushape.io.nifti import read_header, read_nifti, write_nifti
from ushape.io.outputs import Grid, write_mask, write_probabilities

PLACE = ("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x")
PLACE += ("qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "dim")
LAW = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nifti")


def world(affine: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    return affine[:-1, :-1] @ np.asarray(index) + affine[:-1, -1]


@LAW
@given(seed=SEEDS, ending=st.sampled_from([".nii", ".nii.gz"]), index=st.tuples(*[st.integers(0, 9)] * 3))
def test_every_voxel_lies_where_nibabel_says(folder: Path, seed: int, ending: str, index: tuple[int, ...]) -> None:
    values = volume(seed)
    raster = read_nifti(save_nifti(folder / f"a{ending}", values, random_affine(seed)))
    stored = nib.load(folder / f"a{ending}")
    assert np.array_equal(raster.pixels[0], values)
    assert np.allclose(world(raster.geometry.affine, index), world(stored.affine, index[::-1]), atol=1e-4)


@LAW
@given(seed=SEEDS, codes=st.sampled_from([(1, 0), (0, 1), (2, 4), (0, 0)]), packed=st.booleans())
def test_a_mask_has_the_place_of_its_image_bit_by_bit(
    folder: Path, seed: int, codes: tuple[int, int], packed: bool
) -> None:
    values, affine = volume(seed), random_affine(seed, orthonormal=codes[1] == 0)
    source = save_nifti(folder / f"image.nii{'.gz' * packed}", values, affine, qform_code=codes[0], sform_code=codes[1])
    target = folder / f"mask.nii{'.gz' * packed}"
    write_mask(target, values % 3, grid=Grid(read_nifti(source).geometry, source))
    before, after = read_header(source), read_header(target)
    assert all(before[name].tobytes() == after[name].tobytes() for name in PLACE)
    assert nib.load(target).affine.tobytes() == nib.load(source).affine.tobytes()
    assert nib.load(target).get_data_dtype() == np.uint8
    assert np.array_equal(read_mask(target), values % 3)


@pytest.mark.parametrize("orientation", range(48))
def test_without_a_source_the_geometry_is_enough_in_all_48_orientations(folder: Path, orientation: int) -> None:
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[orientation] * [0.7, 1.1, 3.3]
    affine[:3, 3] = [-90.123, 12.5, 7.0]
    geometry = read_nifti(save_nifti(folder / "a.nii", volume(), affine)).geometry
    write_nifti(folder / "b.nii", volume(), geometry)
    first, second = nib.load(folder / "a.nii"), nib.load(folder / "b.nii")
    assert np.array_equal(first.affine, second.affine)
    assert np.allclose(second.header.get_qform(), first.affine, atol=1e-4)
    assert read_nifti(folder / "b.nii").geometry == geometry


@LAW
@given(seed=SEEDS)
def test_a_sheared_geometry_is_written_as_an_sform_alone(folder: Path, seed: int) -> None:
    geometry = read_nifti(save_nifti(folder / "a.nii", volume(), random_affine(seed))).geometry
    write_nifti(folder / "b.nii", volume(), geometry)
    assert nib.load(folder / "a.nii").affine.tobytes() == nib.load(folder / "b.nii").affine.tobytes()
    assert nib.load(folder / "b.nii").header["qform_code"] == 0


def test_a_geometry_in_pixels_is_written_as_unknown(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", volume(), Geometry.pixels(3))
    header = nib.load(tmp_path / "a.nii").header
    assert (header["sform_code"], header["qform_code"], header.get_xyzt_units()[0]) == (0, 0, "unknown")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order_comes_back_native(tmp_path: Path, dtype: str, order: str) -> None:
    values = volume(dtype=dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(values.T, np.eye(4), header), tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    assert (image.dtype, image.flags.writeable, image.flags.c_contiguous) == (np.dtype(dtype), True, True)
    assert np.array_equal(image[0], values)


def test_nifti_2_keeps_its_version(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(volume().T, random_affine(3)), tmp_path / "a.nii.gz")
    write_mask(tmp_path / "m.nii.gz", volume(), grid=Grid(Geometry.pixels(3), tmp_path / "a.nii.gz"))
    again = nib.load(tmp_path / "m.nii.gz")
    assert isinstance(again, nib.Nifti2Image)
    assert np.array_equal(again.affine, nib.load(tmp_path / "a.nii.gz").affine)
    assert np.array_equal(np.asarray(again.dataobj).T, volume())


def test_scaling_is_applied_in_integers_where_it_is_whole(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", volume(), scl_slope=1, scl_inter=-1024)
    assert read_image(path).dtype == np.int16
    assert np.array_equal(read_image(path)[0], volume() - 1024)
    patch_header(path, scl_slope=0.5)
    assert read_image(path).dtype == np.float32
    assert np.array_equal(read_image(path)[0], volume() * 0.5 - 1024)
    patch_header(path, scl_slope=300)
    assert np.array_equal(read_image(path)[0], volume().astype(np.int32) * 300 - 1024)


def test_labels_stored_as_floats_are_read_as_integers(tmp_path: Path) -> None:
    values = volume(dtype="float64") % 3
    assert np.array_equal(read_mask(save_nifti(tmp_path / "a.nii", values)), values)
    with pytest.raises(DataError, match="expected whole label values, got float64 with fractions"):
        read_mask(save_nifti(tmp_path / "a.nii", values + 0.25))


def test_a_plain_file_is_mapped_and_never_changed(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", volume())
    content = path.read_bytes()
    pixels = base = read_nifti(path).pixels
    while not isinstance(base, np.memmap):
        base = base.base
    pixels[:] = 7
    assert path.read_bytes() == content


def test_names_do_not_decide_whether_a_file_is_packed(tmp_path: Path) -> None:
    plain, packed = save_nifti(tmp_path / "a.nii", volume()), save_nifti(tmp_path / "b.nii.gz", volume())
    (tmp_path / "c.nii.gz").write_bytes(plain.read_bytes())
    (tmp_path / "c.nii").write_bytes(packed.read_bytes())
    for name in ("c.nii.gz", "c.nii"):
        assert np.array_equal(read_image(tmp_path / name)[0], volume())


def test_a_picture_is_a_volume_of_one_slice_and_stays_a_picture(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(volume()[0].T, np.diag([2.0, 3.0, 1.0, 1.0])), tmp_path / "a.nii")
    patch_header(tmp_path / "a.nii", sform_code=0, qform_code=0, pixdim=[1, 2, 3, 0, 0, 0, 0, 0])
    raster = read_nifti(tmp_path / "a.nii")
    assert raster.pixels.shape == (1, 1, 4, 5)
    assert raster.geometry.spacing == (1.0, 3.0, 2.0)
    write_mask(tmp_path / "m.nii", raster.pixels[0], grid=Grid(raster.geometry, tmp_path / "a.nii"))
    assert nib.load(tmp_path / "m.nii").shape == (5, 4)


@pytest.mark.parametrize(("code", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_metres_and_micrometres_become_millimetres(tmp_path: Path, code: int, factor: float) -> None:
    path = save_nifti(tmp_path / "a.nii", volume(), np.diag([2.0, 3.0, 4.0, 1.0]), xyzt_units=code)
    assert read_nifti(path).geometry.spacing == pytest.approx((4 * factor, 3 * factor, 2 * factor))


def test_colours_and_a_short_fourth_axis_are_channels(tmp_path: Path) -> None:
    channels = volume(space=(2, 3, 4, 5))
    assert np.array_equal(read_image(save_nifti(tmp_path / "c.nii", channels)), channels)
    colours = volume(space=(3, 3, 4, 5), dtype="uint8")
    structured = np.empty((5, 4, 3), [(name, "u1") for name in "RGB"])
    for name, colour in zip("RGB", colours, strict=True):
        structured[name] = colour.T
    nib.save(nib.Nifti1Image(structured, np.eye(4)), tmp_path / "rgb.nii.gz")
    assert np.array_equal(read_image(tmp_path / "rgb.nii.gz"), colours)


def test_a_fourth_axis_is_refused_where_it_is_long_or_one_volume_is_meant(tmp_path: Path) -> None:
    series = save_nifti(tmp_path / "t.nii.gz", volume(space=(9, 3, 4, 5)))
    with pytest.raises(DataError, match=r"t\.nii\.gz: expected one volume, got 9 in one file .* --axes CZYX"):
        read_image(series)
    assert read_image(series, axes="czyx").shape == (9, 3, 4, 5)
    short = save_nifti(tmp_path / "c.nii", volume(space=(2, 3, 4, 5)))
    with pytest.raises(DataError, match="expected one volume, got 2"):
        read_image(short, axes="ZYX")
    with pytest.raises(DataError, match=r"got 2 different channels; save the mask as one volume"):
        read_mask(short)
    with pytest.raises(DataError, match="expected axes ZYX or CZYX"):
        read_image(short, axes="TZYX")
    nib.save(nib.Nifti1Image(np.zeros((5, 4, 3, 2, 2), np.uint8), np.eye(4)), tmp_path / "five.nii")
    with pytest.raises(DataError, match="expected a volume, got an array of 5x4x3x2x2; split the file"):
        read_image(tmp_path / "five.nii")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sform_code": 0, "pixdim": [1, 0, 1, 1, 0, 0, 0, 0]}, "voxel size above 0 along each axis, got 1 x 1 x 0"),
        ({"srow_x": [0, 0, 0, 0]}, "voxel size above 0 along each axis, got 1 x 1 x 0"),
        ({"srow_x": [0, 1, 0, 0]}, "voxel size above 0"),
        ({"srow_y": [1, 0, 0, 0]}, "voxel size above 0"),
        ({"srow_x": [1, 1, 0, 0], "srow_y": [1, 1, 0, 0]}, "axes that span the space, got a singular affine"),
        ({"srow_z": [0, 0, np.nan, 0]}, "voxel size above 0"),
        ({"srow_z": [0, 0, 1, np.inf]}, "voxel size above 0"),
        ({"dim": [3, 0, 4, 5, 1, 1, 1, 1]}, "expected a volume, got an array of 0x4x5"),
        ({"dim": [3, 5, 4, 9999, 1, 1, 1, 1]}, "cannot be decoded"),
        ({"dim": [4, 9999, 9999, 9999, 1, 1, 1, 1]}, "cannot be decoded"),
        ({"datatype": 999}, "cannot be decoded"),
        ({"magic": b"ni1"}, "got a header alone"),
    ],
)
def test_bad_headers_are_refused_by_what_is_wrong(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    path = save_nifti(tmp_path / "bad.nii", volume(), **fields)
    with pytest.raises(DataError, match=rf"bad\.nii: .*{message}.*; "):
        read_image(path)


def test_a_missing_qfac_is_taken_as_the_standard_says(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", volume(), sform_code=0, pixdim=[0, 1, 2, 3, 0, 0, 0, 0])
    assert read_nifti(path).geometry.spacing == (3.0, 2.0, 1.0)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_every_cut_of_a_file_is_refused_with_its_name(tmp_path: Path, ending: str) -> None:
    whole = save_nifti(tmp_path / f"whole{ending}", volume()).read_bytes()
    for length in range(1, len(whole) - 8, 7):
        (tmp_path / f"cut{ending}").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.nii.*: .*; "):
            read_image(tmp_path / f"cut{ending}")


def test_a_packed_file_is_compared_with_its_checksum(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", volume())
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"CRC.*; copy or export the file again"):
        read_image(path)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_with_flipped_bytes_is_read_or_refused_but_never_crashes(folder: Path, ending: str, seed: int) -> None:
    path, rng = save_nifti(folder / f"flip{ending}", volume()), np.random.default_rng(seed)
    content = bytearray(gzip.decompress(path.read_bytes()) if ending == ".nii.gz" else path.read_bytes())
    for position in rng.integers(0, 352, 3):
        content[position] = rng.integers(256)
    path.write_bytes(gzip.compress(bytes(content)) if ending == ".nii.gz" else bytes(content))
    with contextlib.suppress(DataError):
        read_image(path)


def test_equal_masks_are_equal_files(tmp_path: Path) -> None:
    source = save_nifti(tmp_path / "a.nii.gz", volume())
    grid = Grid(read_nifti(source).geometry, source)
    for name in ("x", "y"):
        write_mask(tmp_path / f"{name}.nii.gz", volume(), grid=grid)
    assert (tmp_path / "x.nii.gz").read_bytes() == (tmp_path / "y.nii.gz").read_bytes()


def test_the_mask_of_channels_is_one_volume(tmp_path: Path) -> None:
    source = save_nifti(tmp_path / "a.nii", volume(space=(2, 3, 4, 5)), random_affine(1))
    raster = read_raster(source)
    write_mask(tmp_path / "m.nii", volume() % 2, grid=Grid(raster.geometry, source))
    assert nib.load(tmp_path / "m.nii").shape == (5, 4, 3)
    assert read_nifti(tmp_path / "m.nii").geometry == raster.geometry


def test_probabilities_are_float32_along_a_fourth_axis(tmp_path: Path) -> None:
    source = save_nifti(tmp_path / "a.nii.gz", volume(), random_affine(1))
    values = np.random.default_rng(0).random((3, 3, 4, 5)).astype(np.float16)
    write_probabilities(tmp_path / "p.nii.gz", values, grid=Grid(read_nifti(source).geometry, source))
    assert np.array_equal(read_image(tmp_path / "p.nii.gz"), values.astype(np.float32))
    assert nib.load(tmp_path / "p.nii.gz").shape == (5, 4, 3, 3)


def test_a_result_of_another_size_and_one_without_a_place_are_refused(tmp_path: Path) -> None:
    source = save_nifti(tmp_path / "a.nii", volume())
    with pytest.raises(ShapeError, match="the result must lie on its grid"):
        write_mask(tmp_path / "m.nii", volume(space=(3, 4, 4)), grid=Grid(Geometry.pixels(3), source))
    with pytest.raises(DataError, match="got no geometry"):
        write_mask(tmp_path / "m.nii", volume())
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii"]


def test_the_real_volumes_are_read_as_nibabel_reads_them(data_root: Path) -> None:
    for path in sorted((data_root / "Task04_Hippocampus" / "imagesTr").glob("*.nii.gz"))[:5]:
        raster, image = read_nifti(path), nib.load(path)
        assert np.array_equal(raster.pixels[0].T, np.asarray(image.dataobj))
        assert raster.geometry.spacing == image.header.get_zooms()[::-1]


def test_many_threads_may_read_the_first_files_of_a_program(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", volume(), random_affine(1))
    program = (
        "import sys; sys.setswitchinterval(1e-6); from concurrent.futures import ThreadPoolExecutor;"
        "from pathlib import Path; from ushape.io.nifti import read_nifti;"
        "pool = ThreadPoolExecutor(8); list(pool.map(read_nifti, [Path(sys.argv[1])] * 16))"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
