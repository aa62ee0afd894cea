"""DICOM slices for the tests of io, made by pydicom."""

from pathlib import Path

import numpy as np
from tests.io.volumes import volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
VALUES = volume(space=(6, 8, 9), dtype="int16") * 10 - 300


def save_slices(
    folder: Path, values: np.ndarray = VALUES, *, series: str = "1.2.3", description: str = "T1", **tags: object
) -> list[Path]:
    """Write one file per slice, 2 mm apart, in an order that says nothing; tags may be functions of the number."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in np.random.default_rng(0).permutation(len(values)):
        common = {
            "SeriesInstanceUID": series,
            "SeriesDescription": description,
            "ImagePositionPatient": [-10.0, 5.0, 2.0 * number],
            "ImageOrientationPatient": list(AXIAL),
        }
        own = {name: value(int(number)) if callable(value) else value for name, value in tags.items()}
        files.append(folder / f"{len(files):03d}.dcm")
        save_slice(files[-1], values[number], f"{series}.{number + 1}", {**common, **own})
    return files


def save_slice(path: Path, values: np.ndarray, uid: str, tags: dict[str, object]) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, uid
    header.StudyInstanceUID, header.FrameOfReferenceUID, header.Modality = "1.2", "1.2.9", "CT"
    header.Rows, header.Columns = values.shape[:2]
    header.PixelSpacing, header.SliceThickness = [0.5, 0.75], 3.0
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * values.itemsize
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(values.dtype.kind == "i")
    header.PixelData = values.tobytes()
    for name, value in tags.items():
        if value is not None:
            setattr(header, name, value)
        elif name in header:
            delattr(header, name)
    header.save_as(path, enforce_file_format=True)
