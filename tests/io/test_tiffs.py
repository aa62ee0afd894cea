"""TIFF: types, axes, transparency and damage."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io import raster
from ushape.io.cases import load_case
from ushape.io.images import read_image, read_mask
from ushape.io.nifti import write_nifti
from ushape.io.outputs import Grid, write_mask
from ushape.io.pairs import Pair
from ushape.io.tiffs import read_tiff

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 60000, (5, 6, 7), dtype=np.uint16)


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, values, **options)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_every_type_comes_back_as_stored(tmp_path: Path, dtype: str, compression: str | None) -> None:
    values = (RNG.random((9, 4)) * 100).astype(dtype)
    image = read_image(save(tmp_path / "a.tif", values, compression=compression, photometric="minisblack"))
    assert image.dtype == values.dtype
    assert np.array_equal(image[0], values)


def test_bits_become_0_and_1(tmp_path: Path) -> None:
    bits = RNG.random((9, 4)) > 0.5
    assert np.array_equal(read_mask(save(tmp_path / "a.tif", bits)), bits.astype(np.uint8))


def test_values_are_as_stored_even_where_zero_means_white(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (9, 4), dtype=np.uint8)
    path = save(tmp_path / "a.tif", values, photometric="miniswhite")
    assert np.array_equal(read_image(path)[0], values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_samples_are_channels_however_they_are_stored(tmp_path: Path, planar: str) -> None:
    values = RNG.integers(0, 256, (3, 6, 7), dtype=np.uint8)
    stored = values.transpose(1, 2, 0) if planar == "contig" else values
    path = save(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    assert np.array_equal(read_image(path), values)


def test_an_alpha_sample_is_dropped(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    path = save(tmp_path / "a.tif", values, photometric="rgb")
    assert np.array_equal(read_image(path), values[..., :3].transpose(2, 0, 1))
    assert read_tiff(path).has_transparency


def test_a_palette_is_kept_apart(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (6, 7), dtype=np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[0, 1] = 65535
    path = save(tmp_path / "a.tif", indices, photometric="palette", colormap=colours)
    assert np.array_equal(read_mask(path), indices)
    assert np.array_equal(read_image(path)[0], np.where(indices == 1, 255, 0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("a.ome.tif", {"ome": True, "metadata": {"axes": "ZYX"}}),
        ("a.tif", {"metadata": {"axes": "ZYX"}, "photometric": "minisblack"}),
    ],
)
def test_a_volume_is_recognised_by_its_metadata(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    image = read_image(save(tmp_path / name, STACK, **options))
    assert np.array_equal(image, STACK[None])
    assert read_tiff(tmp_path / name).geometry.ndim == 3


def test_pages_without_names_need_axes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK, photometric="minisblack", metadata=None)
    with pytest.raises(DataError, match=r"got 5x6x7 without saying what the pages are; say it with --axes"):
        read_image(path)


@pytest.mark.parametrize(("axes", "order"), [("ZYX", (0, 1, 2)), ("cyx", (0, 1, 2)), ("YXC", (2, 0, 1))])
def test_given_axes_name_the_files_own(tmp_path: Path, axes: str, order: tuple[int, ...]) -> None:
    path = save(tmp_path / "a.tif", STACK, photometric="minisblack", metadata=None)
    expected = STACK.transpose(order)
    image = read_image(path, axes=axes)
    assert np.array_equal(image, expected[None] if "Z" in axes else expected)


@pytest.mark.parametrize(("name", "axes"), [("a.tif", "ZCYX"), ("a.ome.tif", "ZCYX"), ("a.ome.tif", "CZYX")])
def test_channels_of_a_volume_come_first(tmp_path: Path, name: str, axes: str) -> None:
    values = RNG.integers(0, 256, (4, 2, 6, 7), dtype=np.uint8)
    kind = {"ome": True} if "ome" in name else {"imagej": True}
    path = save(tmp_path / name, values, **kind, metadata={"axes": axes}, photometric="minisblack")
    order = [axes.index(axis) for axis in "CZYX"]
    assert np.array_equal(read_image(path), values.transpose(order))


@pytest.mark.parametrize(
    ("axes", "message"),
    [("ZYXC", "expected one letter for each axis"), ("TYX", "at most one C and Z"), ("YXY", "at most one C and Z")],
)
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str, message: str) -> None:
    path = save(tmp_path / "a.tif", STACK, photometric="minisblack", metadata=None)
    with pytest.raises(DataError, match=message):
        read_image(path, axes=axes)


def test_frames_in_time_are_not_taken_for_depth(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(DataError, match="say it with --axes"):
        read_image(path)


def test_axes_of_length_one_fall_away(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK[:1, None], imagej=True, metadata={"axes": "TZYX"})
    assert np.array_equal(read_image(path), STACK[:1])


def test_every_cut_of_a_tiff_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.tif", STACK[0], compression="zlib").read_bytes()
    for length in range(1, len(whole) - 8, 6):
        (tmp_path / "cut.tif").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.tif: .*; "):
            read_image(tmp_path / "cut.tif")


def test_jpeg_inside_a_tiff_is_no_mask(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.zeros((16, 16), np.uint8), compression="jpeg")
    with pytest.raises(DataError, match="invents values"):
        read_mask(path)


def test_a_volume_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    monkeypatch.setattr(raster, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="expected at most"):
        read_image(path)


SIZED = {
    "a.ome.tif": {
        "ome": True,
        "metadata": {
            "axes": "ZYX",
            **{f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (2, 0.3, 0.325), strict=True)},
            "PhysicalSizeZUnit": "µm",
        },
    },
    "a.tif": {
        "imagej": True,
        "resolution": (1 / 0.325, 1 / 0.3),
        "metadata": {"axes": "ZYX", "spacing": 2.0, "unit": "\\u00B5m"},
    },
}


@pytest.mark.parametrize("name", SIZED)
def test_the_size_of_voxels_comes_back_from_a_mask(tmp_path: Path, name: str) -> None:
    image = read_tiff(save(tmp_path / name, STACK, **SIZED[name])).geometry
    assert (image.unit, image.is_placed) == ("mm", False)
    assert image.spacing == pytest.approx((2e-3, 3e-4, 3.25e-4))
    write_mask(tmp_path / f"mask_{name}", STACK % 3, grid=Grid(image))
    assert read_tiff(tmp_path / f"mask_{name}").geometry == image
    with tifffile.TiffFile(tmp_path / f"mask_{name}") as file:
        text = file.ome_metadata or str(file.imagej_metadata)
    assert (
        'PhysicalSizeX="0.325" PhysicalSizeXUnit="µm"' if "ome" in name else "'unit': 'micron', 'spacing': 2.0"
    ) in text


def test_a_picture_keeps_the_size_of_its_pixels_and_volumes_in_mm_theirs(tmp_path: Path) -> None:
    for shape, spacing in (((6, 7), (0.5, 0.5)), ((5, 6, 7), (3.0, 1.0, 1.0))):
        for name in ("a.tif", "a.ome.tif"):
            write_mask(tmp_path / name, np.ones(shape, np.uint8), grid=Grid(Geometry.sized(spacing)))
            assert read_tiff(tmp_path / name).geometry == Geometry.sized(spacing)


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": (300, 300), "resolutionunit": "INCH", "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.0, "unit": "pixel"}, "resolution": (3, 3)},
        {"imagej": True, "metadata": {"axes": "ZYX", "unit": "um"}, "resolution": (3, 3)},
        {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}},
    ],
)
def test_a_size_that_is_not_said_of_every_axis_is_none(tmp_path: Path, options: dict[str, object]) -> None:
    path = save(tmp_path / "a.tif", STACK, photometric="minisblack", **options)
    assert read_tiff(path).geometry == Geometry.pixels(3)


def test_a_mask_that_says_only_its_size_lies_on_its_image_as_stored(tmp_path: Path) -> None:
    affine = np.array([[-1.0, 0, 0, 90], [0, 2, 0, 5], [0, 0, 3, 7], [0, 0, 0, 1]])
    write_nifti(tmp_path / "a.nii", STACK, Geometry.from_affine(affine))
    mask = np.ascontiguousarray(STACK % 3)
    write_mask(tmp_path / "a.tif", mask, grid=Grid(Geometry.sized((0.5, 0.5, 0.5))))
    labels = Labels(names=("background", "one", "two"), values=(0, 1, 2))
    case = load_case(Pair("a", tmp_path / "a.nii", tmp_path / "a.tif"), labels)
    assert np.array_equal(case.label, mask)
    assert case.geometry.is_placed
