"""NRRD and MetaImage, by SimpleITK: its arrays are as ours, its world is LPS and ours RAS."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError, OutputError, require
from ushape.core.files import atomic_path
from ushape.io.raster import Raster, check_channels, damaged, locate, refuse_huge

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def read_itk(path: Path, axes: str = "") -> Raster:
    """Read an NRRD or MetaImage file, a picture or a volume, as (channels, *space) in its stored dtype.

    Args:
        axes: as for `read_nifti`.
    Raises:
        MissingExtra: SimpleITK is not installed.
        DataError: the file is damaged, has no usable geometry, or more axes than an image.
    """
    sitk = _require_sitk(f"{path}: reading")
    try:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size = tuple(int(count) for count in reader.GetSize())
        _check_size(path, size, int(reader.GetNumberOfComponents()), axes)
        geometry = _geometry_of(path, reader)
        values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise damaged(path, _last_line(error)) from error
    pixels = np.moveaxis(values, -1, 0) if values.ndim > len(size) else values
    return Raster(np.ascontiguousarray(pixels).reshape(-1, *reversed(size[:3])), geometry)


def write_itk(path: Path, values: Shaped[ndarray, "*channels_space"], geometry: Geometry) -> None:
    """Write NRRD or MetaImage, compressed; channels become components of each voxel, float16 becomes float32.

    Raises:
        MissingExtra: SimpleITK is not installed.
        OutputError: the place cannot be written.
    """
    sitk = _require_sitk(f"{path}: writing")
    has_channels = values.ndim > geometry.ndim
    voxels = values.astype(np.float32) if values.dtype == np.float16 else values
    image = sitk.GetImageFromArray(np.moveaxis(voxels, 0, -1) if has_channels else voxels, isVector=has_channels)
    if geometry.unit == "mm":
        _place(image, geometry)
    with atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), True)
        except RuntimeError as error:
            raise OutputError(f"{path}: cannot be written ({_last_line(error)}); choose another place") from error


def _require_sitk(purpose: str) -> ModuleType:
    return require("SimpleITK", "medical", f"{purpose} NRRD or MetaImage")


def _check_size(path: Path, size: tuple[int, ...], components: int, axes: str) -> None:
    if min(size) < 1:
        raise DataError(f"{path}: expected an image, got one without voxels {size}; export the file again")
    if len(size) > 2 or axes:
        check_channels(path, math.prod(size[3:]), axes)
    refuse_huge(path, math.prod(size) * components)


def _geometry_of(path: Path, image: Any) -> Geometry:
    """Return where the voxels lie; of a fourth axis nothing is kept."""
    whole = int(image.GetDimension())
    ndim = min(whole, 3)
    spacing, direction = np.asarray(image.GetSpacing()), np.reshape(image.GetDirection(), (whole, whole))
    if path.suffix.lower() in (".nrrd", ".nhdr") and not image.HasMetaDataKey("NRRD_space") and (spacing == 1).all():
        return Geometry.pixels(ndim)  # a file that does not say
    flip = _LPS_TO_RAS[:ndim]
    affine = np.eye(ndim + 1)
    affine[:-1, :-1] = ((direction * spacing)[:ndim, :ndim] * flip[:, None])[:, ::-1]
    affine[:-1, -1] = np.asarray(image.GetOrigin()[:ndim]) * flip
    return locate(path, affine)


def _place(image: Any, geometry: Geometry) -> None:
    flip = _LPS_TO_RAS[: geometry.ndim]
    steps: Float[ndarray, "axis world"] = np.asarray(geometry.direction)[::-1] * flip
    image.SetSpacing(geometry.spacing[::-1])
    if geometry.is_adrift:
        return
    image.SetOrigin((np.asarray(geometry.origin) * flip).tolist())
    image.SetDirection(steps.T.ravel().tolist())


def _last_line(error: RuntimeError) -> str:
    """Return the line of ITK's many that says what happened."""
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason given")
