"""NIfTI: volumes with their place in the world. nibabel reads the header; the voxels are mapped or inflated here."""

from __future__ import annotations

import gzip
import math
import struct
import sys
import threading
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.files import atomic_path
from ushape.io.raster import Raster, check_channels, damaged, locate, refuse_huge, rescale

Header = Any
"""A nibabel header, NIfTI-1 or NIfTI-2: its class knows no types."""

_DECODER_ERRORS = (OSError, EOFError, zlib.error, ValueError, LookupError, ArithmeticError, TypeError)
_HEADER_BYTES = (348, 540)  # of NIfTI-1 and NIfTI-2; the first number in the file, in either byte order
_MAGICS = (b"n+1", b"n+2")
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # by the header's code for metres and micrometres; else millimetres
_GZIP = b"\x1f\x8b"
_LEVEL = 4  # of compression: 9 takes five times longer for a few percent
_NO_EXTENSIONS = bytes(4)
_CHUNK = 2**22
_LOADING = threading.Lock()  # nibabel's modules import each other in circles: a second thread would find half of one


def read_nifti(path: Path, axes: str = "") -> Raster:
    """Read a NIfTI-1 or NIfTI-2 file, gzipped or not, as (channels, z, y, x).

    The affine is the header's sform, else its qform, else made of its voxel sizes, as nibabel does it. A plain file
    without scaling is mapped, not read: its voxels come from the disk when they are used. A picture is a volume of one
    slice.

    Args:
        axes: "CZYX" if a fourth axis is channels however long it is, "ZYX" to refuse it, "" for `check_channels`.
    Raises:
        DataError: the file is damaged, has no usable affine, or more axes than an image.
    """
    header_error = _load_nibabel().spatialimages.HeaderDataError
    try:
        header = read_header(path)
        shape = _array_shape(path, header, axes)
        geometry = _geometry_of(path, header)
        voxels = _unpack_colours(_read_voxels(path, header).reshape(shape))
        slope, intercept = header.get_slope_inter()
        if (slope or 1.0, intercept or 0.0) != (1.0, 0.0):
            refuse_huge(path, voxels.size)
        return Raster(rescale(voxels, slope or 1.0, intercept or 0.0), geometry)
    except (*_DECODER_ERRORS, header_error) as error:
        raise damaged(path, error) from error


def read_header(path: Path) -> Header:
    """Read the header alone, as it is stored: nothing in it is corrected.

    Raises:
        DataError: the file is no NIfTI.
    """
    nibabel = _load_nibabel()
    with _open(path) as file:
        block = file.read(max(_HEADER_BYTES))
    marks = [struct.unpack(order + "i", block[:4])[0] for order in "<>" if len(block) >= 4]
    size = next((mark for mark in marks if mark in _HEADER_BYTES and mark <= len(block)), 0)
    if not size:
        raise DataError(f"{path}: expected a NIfTI file, got other content; convert it, or copy it again")
    kind = nibabel.nifti1.Nifti1Header if size == _HEADER_BYTES[0] else nibabel.nifti2.Nifti2Header
    header = kind(block[:size], check=False)
    if header["magic"].item()[:3] not in _MAGICS:
        raise DataError(f"{path}: expected header and voxels in one file, got a header alone; convert it to .nii.gz")
    return header


def write_nifti(
    path: Path, values: Shaped[ndarray, "*channels z y x"], geometry: Geometry, like: Path | None = None
) -> None:
    """Write a volume; channels become the fourth axis, float16 becomes float32. Equal input makes equal files.

    Args:
        like: a NIfTI file on the same grid whose header is kept: qform, sform, their codes and units, bit by bit.
    Raises:
        ShapeError: the grid of `like` has another size.
        OutputError: the place cannot be written.
    """
    header = _copy_header(like, values) if like else _make_header(geometry, values)
    header.set_data_dtype(np.float32 if values.dtype == np.float16 else values.dtype)
    header.set_slope_inter(1, 0)
    header["vox_offset"] = header["sizeof_hdr"] + len(_NO_EXTENSIONS)
    voxels = np.ascontiguousarray(values, dtype=header.get_data_dtype())
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as stream:
                _write_parts(stream, header, voxels)
        else:
            _write_parts(file, header, voxels)


def _write_parts(file: BufferedIOBase, header: Header, voxels: Shaped[ndarray, "*any"]) -> None:
    file.write(header.binaryblock)
    file.write(_NO_EXTENSIONS)
    file.write(voxels.data.cast("B"))


def _open(path: Path) -> BufferedIOBase:
    """Open a file for reading, inflated if its first bytes say so: names are often wrong here."""
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    return gzip.GzipFile(path) if is_packed else path.open("rb")


def _array_shape(path: Path, header: Header, axes: str) -> tuple[int, ...]:
    """Return the shape of the stored array, slowest axis first."""
    shape = tuple(int(size) for size in header.get_data_shape())
    size = "x".join(map(str, shape))
    beyond = [count for count in shape[3:] if count != 1]
    if len(shape) < 2 or min(shape) < 1 or len(beyond) > 1:
        raise DataError(f"{path}: expected a volume, got an array of {size or 'no size'}; split the file")
    check_channels(path, beyond[0] if beyond else 1, axes)
    return (*beyond, *reversed((*shape, 1, 1)[:3]))


def _geometry_of(path: Path, header: Header) -> Geometry:
    whole = header.copy()
    if whole["pixdim"][0] not in (-1, 1):
        whole["pixdim"][0] = 1  # what the standard says of it
    whole["pixdim"][4 - max(0, 3 - int(header["dim"][0])) : 4] = 1  # axes that the array has not
    affine = whole.get_best_affine()
    affine[:3] *= _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return locate(path, affine[:, [2, 1, 0, 3]])


def _read_voxels(path: Path, header: Header) -> Shaped[ndarray, " n"]:
    dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
    count = math.prod(int(size) for size in header.get_data_shape())
    with _open(path) as file:
        if not isinstance(file, gzip.GzipFile):
            return np.memmap(path, dtype, "c", offset, count).view(ndarray)
        refuse_huge(path, count)
        return _inflate(file, offset, np.empty(count, dtype))


def _inflate(file: gzip.GzipFile, offset: int, voxels: Shaped[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    file.seek(offset)
    room = voxels.view(np.uint8).data
    for start in range(0, len(room), _CHUNK):
        part = room[start : start + _CHUNK]
        if file.readinto(part) < len(part):
            raise EOFError(f"{len(room)} bytes of voxels are announced, fewer are there")
    file.read(1)  # at the end of the stream its checksum is compared
    return voxels


def _unpack_colours(voxels: Shaped[ndarray, "*any"]) -> Shaped[ndarray, "c z y x"]:
    if voxels.dtype.names:  # R, G, B and perhaps A in each voxel
        return np.stack([voxels[name] for name in voxels.dtype.names[:3]])
    voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    return voxels if voxels.ndim == 4 else voxels[None]


def _copy_header(like: Path, values: Shaped[ndarray, "*channels z y x"]) -> Header:
    header = read_header(like)
    flat = tuple(int(size) for size in header.get_data_shape()[:3])
    space, channels = values.shape[-3:], values.shape[:-3]
    if tuple(reversed((*flat, 1)[:3])) != space:
        raise ShapeError(f"{like}: expected a volume of {space}, got {flat[::-1]}; the result must lie on its grid")
    header.set_data_shape((*space[::-1], *channels) if channels else flat)
    header.set_intent("none")
    header["cal_min"] = header["cal_max"] = 0
    return header


def _load_nibabel() -> Any:
    """Import nibabel; without pydicom where no other thread can notice.

    It would import pydicom only to read DICOM out of headers, and that takes three times as long as nibabel itself.
    """
    with _LOADING:
        is_hidden = not {"nibabel", "pydicom"} & sys.modules.keys() and threading.active_count() == 1
        if is_hidden:
            sys.modules["pydicom"] = None  # type: ignore[assignment]
        try:
            import nibabel
        finally:
            if is_hidden:
                del sys.modules["pydicom"]
    return nibabel


def _make_header(geometry: Geometry, values: Shaped[ndarray, "*channels z y x"]) -> Header:
    header: Header = _load_nibabel().nifti1.Nifti1Header()
    header.set_data_shape(values.shape[-3:][::-1] + values.shape[:-3])
    if geometry.unit == "mm":
        header.set_zooms((*geometry.spacing[::-1], *(1.0,) * (values.ndim - 3)))
        header.set_xyzt_units("mm")
    if geometry.is_placed:
        affine = geometry.affine[:, [2, 1, 0, 3]]
        header.set_sform(affine, 1)
        directions = np.asarray(geometry.direction)
        if np.allclose(directions @ directions.T, np.eye(3), atol=1e-6):  # a quaternion has no shear
            header.set_qform(affine, 1)
    return header
