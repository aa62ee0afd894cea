"""Whatever grid an image lies on, its mask comes back on it, voxel by voxel, in every format."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.io.volumes import ORIENTATIONS, save_nifti, volume
from tests.workflows.identity import expected, identity_model

from ushape.io.images import read_raster
from ushape.io.itk import write_itk
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import predict_files
from ushape.workflows.model import Model

PREPS = {
    "plain": {},
    "turned and cropped": {"orientation": "canonical", "crop": "nonzero", "fit": {"size": (6, 6, 6)}},
}
MODELS = {name: identity_model(3, **prep) for name, prep in PREPS.items()}
SPACES = st.tuples(*[st.integers(1, 6)] * 3)  # what a fit to 6 holds whole


def make_affine(orientation: int, spacing: tuple[float, ...], angle: float, shear: float) -> np.ndarray:
    """An orientation, turned by an angle about the main diagonal, with voxels of any size, and perhaps sheared."""
    axis = np.ones(3) / math.sqrt(3)
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = turn @ ORIENTATIONS[orientation] @ (np.eye(3) + shear * np.eye(3, k=1)) @ np.diag(spacing)
    affine[:3, 3] = (-91.3, 17.2, 40.1)
    return affine


def header_of(path: Path) -> dict[str, bytes]:
    names = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    header = nib.load(path).header
    return {name: header[name].tobytes() for name in (*names, "srow_x", "srow_y", "srow_z", "pixdim", "xyzt_units")}


@pytest.mark.parametrize("orientation", range(48))
def test_a_nifti_of_any_orientation_gets_its_mask_under_its_own_header(tmp_path: Path, orientation: int) -> None:
    spacing, shear = (0.7, 1.1, 4.0), 0.2 * (orientation % 3 == 0)
    affine = make_affine(orientation, spacing, 0.3 * (orientation % 2), shear)
    values = volume(orientation, (4, 5, 6))
    save_nifti(tmp_path / "in" / "scan.nii.gz", values, affine)
    for name, model in MODELS.items():
        (mask,) = predict_files(model, tmp_path / "in", tmp_path / name, OutputOptions()).written
        assert np.array_equal(read_raster(mask).pixels[0], expected(values)), name
        assert header_of(mask) == header_of(tmp_path / "in" / "scan.nii.gz")


@settings(max_examples=12)
@given(
    orientation=st.integers(0, 47),
    space=SPACES,
    spacing=st.tuples(*[st.floats(0.2, 9)] * 3),
    angle=st.floats(-0.7, 0.7),
    ending=st.sampled_from([".nrrd", ".mha"]),
    name=st.sampled_from(list(MODELS)),
)
def test_an_itk_volume_of_any_grid_gets_its_mask_on_it(
    tmp_path_factory: pytest.TempPathFactory,
    orientation: int,
    space: tuple[int, ...],
    spacing: tuple[float, ...],
    angle: float,
    ending: str,
    name: str,
) -> None:
    folder = tmp_path_factory.mktemp("grid")
    save_nifti(folder / "source.nii", volume(1, space), make_affine(orientation, spacing, angle, 0.0))
    geometry = read_raster(folder / "source.nii").geometry
    write_itk(folder / f"scan{ending}", volume(1, space), geometry)
    source = read_raster(folder / f"scan{ending}")
    (mask,) = predict_files(MODELS[name], folder / f"scan{ending}", folder / "out", OutputOptions()).written
    result = read_raster(mask)
    assert np.array_equal(result.pixels, expected(source.pixels))
    assert result.geometry.shift_to(source.geometry, space) < 1e-9  # ITK writes 17 digits


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "tif"])
def test_another_format_keeps_the_grid(tmp_path: Path, ending: str) -> None:
    values, affine = volume(3, (4, 5, 6)), make_affine(17, (0.7, 1.1, 4.0), 0.2, 0.0)
    source = save_nifti(tmp_path / "scan.nii.gz", values, affine)
    (mask,) = predict_files(MODELS["plain"], source, tmp_path / "out", OutputOptions(ending=ending)).written
    result = read_raster(mask)
    assert mask.name == f"scan.{ending}"
    assert np.array_equal(result.pixels[0], expected(values))
    assert result.geometry.shift_to(read_raster(source).geometry, values.shape) < 1e-4


@settings(max_examples=8)
@given(space=st.tuples(st.integers(1, 40), st.integers(1, 40)), ending=st.sampled_from([".png", ".tif", ".bmp"]))
def test_a_picture_of_any_size_gets_a_mask_of_its_size(
    tmp_path_factory: pytest.TempPathFactory, space: tuple[int, int], ending: str
) -> None:
    folder, values = tmp_path_factory.mktemp("picture"), volume(4, space, "uint8")
    save = tifffile.imwrite if ending == ".tif" else lambda path, pixels: Image.fromarray(pixels).save(path)
    save(folder / f"cell{ending}", values)
    (mask,) = predict_files(picture_model(), folder / f"cell{ending}", folder / "out", OutputOptions()).written
    assert np.array_equal(read_raster(mask).pixels[0], expected(values))


def picture_model() -> Model:
    return identity_model(2)
