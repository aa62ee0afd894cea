"""DICOM-SEG: a mask as a DICOM object that points at the slices it was made from."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from ushape.core.errors import DataError, ShapeError, require
from ushape.core.files import atomic_path
from ushape.core.labels import Labels
from ushape.io.colours import class_colours, label_colours
from ushape.io.dicom import Slice
from ushape.io.segments import VALUE_TEXT
from ushape.io.slices import Header, is_tilted

Kind = Literal["BINARY", "LABELMAP"]
Code = tuple[str, str, str]
"""Value, scheme and meaning, like ("10200004", "SCT", "Liver")."""

_MAY_BE_EMPTY = (  # Type 2: must be there, and de-identified files often lack them
    *("AccessionNumber", "PatientBirthDate", "PatientID", "PatientName", "PatientSex"),
    *("ReferringPhysicianName", "StudyDate", "StudyID", "StudyTime"),
)
_ABNORMAL = ("tumor", "tumour", "lesion", "neoplasm", "edema", "cyst", "necrosis", "metastasis", "nodule")
_SIDES = ("left", "right", "bilateral")
_SERIES_NUMBER = 300  # beyond what scanners count to
_FAILURES = (AttributeError, ValueError, TypeError, LookupError)


def write_dicom_seg(
    path: Path,
    label: Integer[ndarray, "z y x"] | Bool[ndarray, "classes z y x"],
    slices: Sequence[Slice],
    names: Sequence[str],
    *,
    kind: Kind = "BINARY",
    codes: Mapping[str, Code] | None = None,
    table: Labels | None = None,
) -> None:
    """Write a mask as DICOM-SEG, one segment per foreground class; ignored voxels belong to none.

    Tags of Type 2 that the slices lack are taken as empty. A class gets the code of `codes`, else the SNOMED code that
    bears its name, else that of "Tissue"; its own name is the segment's label in any case. Slices without content are
    left out, unless they are shifted against each other and their places could not be told without them.

    Args:
        label: class indices; or one mask per foreground class, which may overlap (BINARY only).
        slices: what the mask lies on, in order; see `read_slices`.
        names: of the foreground classes.
        kind: BINARY is read by every viewer; LABELMAP is smaller and newer.
        table: the classes' colours, and their values in mask files, which the segments' descriptions keep for
            `read_segments`; None for 1 and on in usual colours.
    Raises:
        MissingExtra: highdicom is not installed.
        ShapeError: mask and slices differ in size, or overlapping classes are to become a LABELMAP.
        DataError: the slices lack tags that cannot be left empty.
        OutputError: the place cannot be written.
    """
    highdicom = require("highdicom", "medical", f"{path}: writing DICOM-SEG")
    pixels = _as_pixels(path, label, slices, kind)
    colours = (label_colours(table) if table else class_colours(len(names) + 1))[1:].tolist()
    descriptions = [_describe_segment(*one, codes or {}) for one in zip(count(1), names, colours, strict=False)]
    for description, value in zip(descriptions, table.values[1:] if table else (), strict=table is not None):
        description.SegmentDescription = VALUE_TEXT.format(value)
    try:
        segmentation = highdicom.seg.Segmentation(
            source_images=[_with_empty_tags(slice_.header) for slice_ in slices],
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=descriptions,
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="ushape",
            manufacturer_model_name="ushape",
            software_versions=version("ushape"),
            device_serial_number="0",
            series_description="Segmentation by ushape",
            omit_empty_frames=not is_tilted([slice_.header for slice_ in slices]),
        )
    except _FAILURES as error:
        raise DataError(f"{path}: DICOM-SEG cannot be made of these slices ({error}); write NIfTI instead") from error
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)


def read_dicom_seg(path: Path, slices: Sequence[Slice]) -> tuple[list[str], Bool[ndarray, "segments z y x"]]:
    """Read the segments of a DICOM-SEG on given slices, matched by their SOP instance UIDs.

    Returns:
        The segments' labels, and a mask for each; slices that the file does not mention are empty.
    Raises:
        MissingExtra: highdicom is not installed.
        DataError: it is no DICOM-SEG, or one of other slices.
    """
    highdicom = require("highdicom", "medical", f"{path}: reading DICOM-SEG")
    from pydicom.errors import InvalidDicomError

    uids = [str(slice_.header.SOPInstanceUID) for slice_ in slices]
    try:
        segmentation = highdicom.seg.segread(path)
        if not {str(uid) for _, _, uid in segmentation.get_source_image_uids()} <= set(uids):
            raise DataError(f"{path}: expected a DICOM-SEG of these slices, got one of others; choose its own series")
        numbers = list(segmentation.segment_numbers)
        masks = segmentation.get_pixels_by_source_instance(
            uids, segment_numbers=numbers, assert_missing_frames_are_empty=True, dtype=np.uint8
        )
    except (OSError, InvalidDicomError, *_FAILURES) as error:
        raise DataError(f"{path}: cannot be read as DICOM-SEG ({error}); export it again") from error
    names = [str(segmentation.get_segment_description(number).segment_label) for number in numbers]
    return names, np.ascontiguousarray(np.moveaxis(masks, -1, 0)).astype(bool)


def _as_pixels(
    path: Path, label: Integer[ndarray, "*any"] | Bool[ndarray, "*any"], slices: Sequence[Slice], kind: Kind
) -> ndarray:
    """Bring a label to the form highdicom takes: (z, y, x) segment numbers, or (z, y, x, segments) masks."""
    space = (len(slices), int(slices[0].header.Rows), int(slices[0].header.Columns))
    if label.shape[-3:] != space:
        raise ShapeError(f"{path}: expected a mask of {space} like its slices, got {label.shape}; use its own result")
    if label.dtype != bool:
        return np.clip(label, 0, None).astype(np.min_scalar_type(int(label.max(initial=1))))
    if kind == "LABELMAP":
        raise ShapeError(f"{path}: expected one class per voxel for LABELMAP, got masks that may overlap; use BINARY")
    return np.moveaxis(label, 0, -1).astype(np.uint8)


def _describe_segment(number: int, name: str, colour: list[int], codes: Mapping[str, Code]) -> Any:
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes as known

    found = CodedConcept(*codes[name]) if name in codes else _find_code(known.SCT, name)
    category = known.SCT.MorphologicallyAbnormalStructure if _is_abnormal(name) else known.SCT.AnatomicalStructure
    method = AlgorithmIdentificationSequence("ushape", known.DCM.ArtificialIntelligence, version("ushape"))
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=category if found else known.SCT.Tissue,
        segmented_property_type=found or known.SCT.Tissue,
        algorithm_type="AUTOMATIC",
        algorithm_identification=method,
        display_color=CIELabColor.from_rgb(*colour),
    )


def _find_code(table: Any, name: str) -> Any:
    """Look a class up in pydicom's code table, with its side, else without: "left kidney" is LeftKidney or Kidney."""
    words = name.replace("_", " ").replace("-", " ").split()
    for kept in (words, [word for word in words if word.lower() not in _SIDES]):
        keyword = "".join(word[:1].upper() + word[1:].lower() for word in kept)
        if keyword and hasattr(table, keyword):
            return getattr(table, keyword)
    return None


def _is_abnormal(name: str) -> bool:
    return any(word in name.lower() for word in _ABNORMAL)


def _with_empty_tags(header: Header) -> Header:
    filled = copy.deepcopy(header)
    for name in _MAY_BE_EMPTY:
        if name not in filled:
            setattr(filled, name, "")
    return filled
