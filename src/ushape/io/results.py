"""What a model found, as files: which formats an image's mask can have, and one way to write all of them."""

from __future__ import annotations

from pathlib import Path

from ushape.core.errors import ConfigError, DataError
from ushape.core.labels import AnyLabel, Labels
from ushape.io.dicom import read_slices
from ushape.io.dicom_seg import Kind, write_dicom_seg
from ushape.io.images import is_series, split_name
from ushape.io.outputs import Grid, mask_name, write_class_masks, write_mask
from ushape.io.segments import SEG

_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha")
_STACKS = (".tif", ".tiff", ".ome.tif", ".ome.tiff")
_PICTURES = (".png", *_STACKS)
_PICTURE_SOURCES = (*_PICTURES, ".jpg", ".jpeg", ".bmp")


def result_name(source: Path, stem: str = "", ending: str = "") -> str:
    """Name the mask of an image: the same stem, and the image's format (see `mask_name`) unless another is asked for.

    Args:
        ending: the format, as "nrrd" or ".nii.gz"; "" for the image's own.
    Raises:
        ConfigError: there is no such format, or it cannot hold a mask of this image.

    >>> result_name(Path("scan.zip")), result_name(Path("scan.nii.gz"), ending="nrrd")
    ('scan.nii.gz', 'scan.nrrd')
    """
    if not ending:
        return mask_name(source, stem)
    dotted = f".{ending.lower().lstrip('.')}"
    check_format(source, dotted)
    return (stem or split_name(source)[0]) + dotted


def check_format(source: Path, ending: str) -> None:
    """Refuse a format that cannot hold a mask of this image.

    Raises:
        ConfigError: it cannot; the message lists those that can.
    """
    own = split_name(source)[1]
    known = _PICTURES if own in _PICTURE_SOURCES else (*_VOLUMES, *_STACKS)
    if is_series(source):
        known = (SEG, *known)
    if ending not in known and ending != mask_ending(source):
        listed = f"{', '.join(known[:-1])} or {known[-1]}"
        hint = "; DICOM-SEG needs the series it is drawn on" if ending == SEG else ""
        raise ConfigError(
            f"{source}: expected {listed} for its mask, got {ending!r}{hint}; choose one with --format, or by the "
            "ending of -o"
        )


def result_paths(path: Path, labels: Labels) -> list[Path]:
    """Return the files in which a mask is kept: itself; or `CLASS/itself` for each class, as a data set of such has it.

    Classes that overlap in files of their own stay in such files, but DICOM-SEG holds them all. Regions of file values
    are painted into one file, in the order of the classes.

    >>> [path.parent.name for path in result_paths(Path("out/a.png"), Labels(names=("background", "cell")))]
    ['out']
    """
    if labels.overlap != "files" or split_name(path)[1] == SEG:
        return [path]
    return [path.parent / name / path.name for name in labels.names[1:]]


def mask_ending(source: Path) -> str:
    """Return the ending of the mask that an image gets by itself."""
    return split_name(Path(mask_name(source, "mask")))[1]


def write_result(
    path: Path, label: AnyLabel, labels: Labels, grid: Grid, *, series: str = "", kind: Kind = "BINARY"
) -> None:
    """Write a label in the format that the name of `path` says; classes that overlap as `result_paths` says.

    Args:
        grid: of the image it was made of.
        series: for DICOM-SEG, which one of the source it lies on.
        kind: of DICOM-SEG.
    Raises:
        DataError, ShapeError, OutputError: as `write_mask` and `write_dicom_seg`.
    """
    if split_name(path)[1] != SEG:
        if labels.overlap == "files":
            write_class_masks(path.parent, path.name, label, labels.names[1:], grid=grid)
        else:
            write_mask(path, labels.decode(label), labels=labels, grid=grid)
        return
    if grid.source is None or not is_series(grid.source):
        raise DataError(f"{path}: expected a DICOM series to draw the segments on, got {grid.source}; write NIfTI")
    slices = read_slices(grid.source, series)
    write_dicom_seg(path, label, slices, labels.names[1:], kind=kind, table=labels)
