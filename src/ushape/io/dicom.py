"""DICOM series: the slices of one volume, from a folder or a zip, put in order by where they lie."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from ushape.core.errors import DataError, require
from ushape.core.events import count
from ushape.io.archives import Limits, decoder_errors, read_files
from ushape.io.raster import Raster, damaged, locate, refuse_huge, rescale
from ushape.io.slices import Header, affine_of, order_slices

_MAGIC_AT, _MAGIC = 128, b"DICM"
_DECODER_ERRORS = (OSError, EOFError, ValueError, LookupError, AttributeError, NotImplementedError, TypeError)
_ZIP_LIMITS = Limits(total=2**34, single=2**29, files=20_000)


@dataclass(frozen=True)
class Series:
    """One series of a folder or zip: what a person chooses by."""

    uid: str
    description: str
    modality: str
    slices: int
    size: tuple[int, int]

    def is_called(self, text: str) -> bool:
        """Tell whether a text is the end of the UID, or a part of the description, in upper or lower case."""
        ends_so = text.replace(".", "").isdigit() and self.uid.endswith(text)
        return ends_so or text.lower() in self.description.lower()

    def __str__(self) -> str:
        rows, cols = self.size
        return f"{self.uid} {self.description!r} ({self.modality}, {self.slices} slices of {rows}x{cols})"


@dataclass(frozen=True, eq=False)
class Slice:
    """One file of a series.

    Attributes:
        file: where it stands; in a zip, below the zip.
        header: everything but the pixels.
        load: reads the file again, pixels and all.
    """

    file: Path
    header: Header
    load: Callable[[], Header]


def list_series(path: Path) -> list[Series]:
    """List the image series in a folder, its subfolders included, or in a zip.

    Raises:
        MissingExtra: pydicom is not installed.
        DataError: there is none; or the zip is damaged or dangerous (see `read_files`).
    """
    with _named_errors(path):
        return [_describe(slices) for slices in _group(path).values()]


def find_series(path: Path, series: str) -> dict[str, Series]:
    """Find the series that a UID, its end, or a part of their description means, each under a word for file names.

    The word is the description, if no other series has the same; else the UID; "" for the only series there is.

    Raises:
        MissingExtra, DataError: as `list_series`.
    """
    found = list_series(path)
    meant = [one for one in found if one.uid == series] or [one for one in found if one.is_called(series)]
    words = Counter(_word(one.description) for one in found)
    if len(found) == 1:
        return dict(zip([""], meant, strict=False))
    return {word if words[word := _word(one.description)] == 1 and word else one.uid: one for one in meant}


def _word(description: str) -> str:
    """Join the words of a description, in lower case, as a part of a file's name."""
    return "-".join(re.findall(r"\w+", description.lower()))


def read_dicom(path: Path, axes: str = "", series: str = "") -> Raster:
    """Read one series as (channels, z, y, x), slices ordered along their normal, in the units that its headers say.

    Rescale slope and intercept are applied, in integers where they are whole (Hounsfield units).

    Args:
        axes: must be empty or "ZYX".
        series: the UID or its end, or a part of the description; needed if there are several.
    Raises:
        MissingExtra: pydicom is not installed, or SimpleITK for compressed pixels.
        DataError: no or several series fit; or slices are missing, doubled, damaged, or of mixed sizes or orientations.
    """
    if axes.upper() not in ("", "ZYX"):
        raise DataError(f"{path}: expected no axes for a DICOM series, got {axes!r}; leave out --axes")
    slices = read_slices(path, series)
    with _named_errors(path):
        first = slices[0].header
        refuse_huge(path, len(slices) * int(first.Rows) * int(first.Columns))
        geometry = locate(path, affine_of([slice_.header for slice_ in slices]))
        planes = np.stack([_read_pixels(slice_) for slice_ in slices])
    return Raster(planes[None] if planes.ndim == 3 else np.ascontiguousarray(np.moveaxis(planes, -1, 0)), geometry)


def read_slices(path: Path, series: str = "") -> list[Slice]:
    """Choose a series and return its slices in order, from the first along the slices' normal to the last.

    Raises:
        DataError: as `read_dicom`.
    """
    with _named_errors(path):
        slices = _choose(path, _group(path), series)
        names = [slice_.file.name for slice_ in slices]
        return [slices[index] for index in order_slices(path, [slice_.header for slice_ in slices], names)]


def _choose(path: Path, groups: dict[str, list[Slice]], series: str) -> list[Slice]:
    fitting = [uid for uid, slices in groups.items() if _describe(slices).is_called(series)]
    if series in groups:
        fitting = [series]
    if len(fitting) != 1:
        raise _not_one(path, groups, fitting, series)
    return groups[fitting[0]]


def is_dicom_folder(path: Path) -> bool:
    """Tell whether a folder directly holds DICOM files, by its first visible ones."""
    if not path.is_dir():
        return False
    files = sorted(child for child in path.iterdir() if child.is_file() and not child.name.startswith("."))
    return any(_has_magic(file) for file in files[:3])  # a note or an index may come first


def holds_dicom(path: Path) -> bool:
    """Tell whether a folder holds DICOM files, itself or somewhere below, as archives lay them out."""
    if not path.is_dir() or path.name.startswith("."):
        return False
    return is_dicom_folder(path) or any(holds_dicom(child) for child in sorted(path.iterdir()))


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC


def _group(path: Path) -> dict[str, list[Slice]]:
    groups: dict[str, list[Slice]] = {}
    placeless: list[Slice] = []
    for slice_ in _scan_zip(path) if path.is_file() else _scan_folder(path):
        if "Rows" in slice_.header and slice_.header.get("ImagePositionPatient"):  # else a report, a screenshot
            groups.setdefault(str(slice_.header.get("SeriesInstanceUID", "")), []).append(slice_)
        elif "Rows" in slice_.header:
            placeless.append(slice_)
    if not groups:
        raise _no_series(path, placeless)
    return groups


def _no_series(path: Path, placeless: list[Slice]) -> DataError:
    """Build the error for what holds no slice with a position; `placeless` are its images."""
    if not placeless:
        return DataError(f"{path}: expected a DICOM series, got no slice; check the path")
    images = f"{count(len(placeless), 'image')} such as {placeless[0].file.name}"
    if any(int(slice_.header.get("NumberOfFrames") or 1) > 1 for slice_ in placeless):
        return DataError(
            f"{path}: expected one slice a file, got several frames in {placeless[0].file.name}; convert it to "
            "NIfTI, or export it as single slices"
        )
    return DataError(
        f"{path}: expected slices with ImagePositionPatient, got {images} without: "
        "nothing says where they lie; export the series again with it, or convert it to NIfTI"
    )


def _scan_folder(path: Path) -> Iterator[Slice]:
    import pydicom

    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith(".") and _has_magic(file):
            yield Slice(file, _read_header(file, file), partial(pydicom.dcmread, file))


def _scan_zip(path: Path) -> Iterator[Slice]:
    for name, content in read_files(path, _ZIP_LIMITS):
        if content[_MAGIC_AT:].startswith(_MAGIC):
            file = path / name
            yield Slice(file, _read_header(file, BytesIO(content)), partial(_load_from_zip, path, name))


def _load_from_zip(path: Path, name: str) -> Header:
    import pydicom

    with decoder_errors(path), zipfile.ZipFile(path) as archive:
        return pydicom.dcmread(BytesIO(archive.read(name)))


def _read_header(path: Path, source: Path | BytesIO) -> Header:
    from pydicom import dcmread

    with _named_errors(path):
        header = dcmread(source, stop_before_pixels=True)
        if _is_cut(header):
            raise damaged(path, "it ends within its header")
        header.buffer = None  # or every slice of a zip would stay in memory
        return header


def _is_cut(header: Header) -> bool:
    """Tell whether a header ends before it says what it is, or, of an image, how large that is."""
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    is_known = kind is not None and kind.name != kind
    return "Rows" not in header and (not is_known or "Image Storage" in kind.name)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what pydicom raises, also late, when a value is first looked at, into an error that names the file."""
    errors = require("pydicom.errors", "medical", f"{path}: reading DICOM")
    try:
        yield
    except DataError:
        raise
    except (errors.InvalidDicomError, errors.BytesLengthException, *_DECODER_ERRORS) as error:
        raise damaged(path, error) from error


def _not_one(path: Path, groups: dict[str, list[Slice]], fitting: list[str], series: str) -> DataError:
    listed = "; ".join(str(_describe(groups[uid])) for uid in fitting or groups)
    if not fitting:
        return DataError(
            f"{path}: expected a series {series!r}, got only {listed}; give a UID, its end, or a part of a description"
        )
    return DataError(
        f"{path}: expected one series, got {len(fitting)}: {listed}; choose one with --series, by its UID, "
        "the end of that, or a part of its description"
    )


def _describe(slices: list[Slice]) -> Series:
    header = slices[0].header
    return Series(
        uid=str(header.get("SeriesInstanceUID", "")),
        description=str(header.get("SeriesDescription", "")),
        modality=str(header.get("Modality", "")),
        slices=len(slices),
        size=(int(header.Rows), int(header.Columns)),
    )


def _read_pixels(slice_: Slice) -> Shaped[ndarray, "rows cols *samples"]:
    """Decode a slice and bring it to the units its header names."""
    with _named_errors(slice_.file):
        header = slice_.load()
        try:
            values: ndarray = header.pixel_array
        except RuntimeError:  # a compression that pydicom has no decoder for
            return _decode_by_itk(slice_.file, header)
        return rescale(values, float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0)))


def _decode_by_itk(path: Path, header: Header) -> Shaped[ndarray, "rows cols *samples"]:
    """Decode with SimpleITK, which rescales by itself; it reads files only."""
    what = header.file_meta.TransferSyntaxUID.name
    sitk = require("SimpleITK", "medical", f"{path}: reading {what}")
    with TemporaryDirectory() as folder:
        header.save_as(Path(folder) / "slice.dcm")
        try:
            values: ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder) / "slice.dcm")))
        except RuntimeError as error:
            raise damaged(path, f"no decoder for {what}") from error
    return values[0]
