"""Results into files: masks, overlays and probabilities. A file is written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float16, Integer, Shaped, UInt8
from numpy import ndarray

from ushape.core.case import Geometry
from ushape.core.errors import DataError
from ushape.core.files import atomic_path
from ushape.core.labels import Labels
from ushape.io.colours import class_colours, label_colours
from ushape.io.images import split_name
from ushape.io.itk import write_itk
from ushape.io.nifti import write_nifti
from ushape.io.tiffs import write_tiff

_MASK_ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".bmp"), ".png"),  # formats that lose values, or that few tools write
    ".mhd": ".mha",
    ".nhdr": ".nrrd",  # header and voxels in one file
    **dict.fromkeys((".zip", ""), ".nii.gz"),  # DICOM slices
}
_NIFTI = (".nii", ".nii.gz")
_BLEND = 0.35


@dataclass(frozen=True)
class Grid:
    """Where a result lies.

    Attributes:
        geometry: of the image it was made of; None for a picture.
        source: the image's file; a result of the same format takes its header over as it is.
    """

    geometry: Geometry | None = None
    source: Path | None = None


NOWHERE = Grid()
"""For pictures, which do not say where they lie."""


def mask_name(source: Path, stem: str = "") -> str:
    """Name the mask of an image: the same stem and format; PNG for JPEG and BMP, NIfTI for DICOM series.

    Args:
        stem: of the mask, where it is another than the file's: the name of a case of several channel files.

    >>> mask_name(Path("images/cell.JPG")), mask_name(Path("cell.ome.tif")), mask_name(Path("scan.zip"))
    ('cell.png', 'cell.ome.tif', 'scan.nii.gz')
    """
    own, ending = split_name(source)
    return (stem or own) + _MASK_ENDINGS.get(ending, ending)


def probabilities_name(source: Path, stem: str = "") -> str:
    """Name the probabilities of an image: the same stem; TIFF for pictures, the mask's format for volume files.

    >>> probabilities_name(Path("cell.png")), probabilities_name(Path("scan.nii.gz"))
    ('cell.tif', 'scan.nii.gz')
    """
    name = mask_name(source, stem)
    own, ending = split_name(Path(name))
    return name if ending in _VOLUME_WRITERS else f"{own}.tif"


def write_mask(
    path: Path,
    raw: Integer[ndarray, "*space"],
    *,
    labels: Labels | None = None,
    grid: Grid = NOWHERE,
    at_least: type[np.unsignedinteger] = np.uint8,
) -> None:
    """Write label values in the format that the name of `path` says, in the smallest integers that hold them.

    A PNG of more than two classes, or of classes with colours of their own, gets a palette; its indices are the values.
    Reading it with `read_mask` gives `raw` back in any case.

    Args:
        labels: the label table, for the palette (see `label_colours`); None for plain gray.
        grid: where it lies; needed for a volume file, and for a TIFF to say how large its voxels are.
        at_least: the smallest type to write, so that maps of few and of many objects are of one type.
    Raises:
        DataError: the format cannot hold the values, or needs a grid.
        ShapeError: the source's grid has another size.
        OutputError: the place cannot be written.
    """
    ending = split_name(path)[1]
    small = _smallest_unsigned(path, raw, at_least)
    if ending in _VOLUME_WRITERS:
        _write_volume(path, small, grid)
    elif ending in _PICTURE_WRITERS:
        with atomic_path(path) as temporary:
            _PICTURE_WRITERS[ending](temporary, small, labels, grid.geometry)
    else:
        known = ", ".join((*_PICTURE_WRITERS, *_VOLUME_WRITERS))
        raise DataError(f"{path}: expected one of {known} for a mask, got another; name it so")


def write_class_masks(
    folder: Path,
    name: str,
    masks: Bool[ndarray, "classes *space"],
    classes: Sequence[str],
    *,
    grid: Grid = NOWHERE,
) -> list[Path]:
    """Write one mask file per class, `folder/CLASS/name`, 0 and 255; return them.

    Args:
        classes: the names of the foreground classes.
    Raises:
        DataError, ShapeError, OutputError: as `write_mask`.
    """
    for class_name in classes:
        if Path(class_name).name != class_name:
            raise DataError(f"{folder}: expected class names that can name a folder, got {class_name!r}; rename it")
    paths = [folder / class_name / name for class_name in classes]
    for path, mask in zip(paths, masks, strict=True):
        write_mask(path, mask.astype(np.uint8) * np.uint8(255), grid=grid)
    return paths


def write_picture(path: Path, pixels: UInt8[ndarray, "rows cols"] | UInt8[ndarray, "rows cols 3"]) -> None:
    """Write an 8-bit gray or RGB picture as PNG."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def write_probabilities(path: Path, probabilities: Float16[ndarray, "classes *space"], *, grid: Grid = NOWHERE) -> None:
    """Write class probabilities: a float16 TIFF with named axes, or a volume file with float32 channels.

    Args:
        grid: where they lie; needed for a volume file.
    Raises:
        DataError: the format holds no probabilities (OME knows no float16), or needs a grid.
        ShapeError: the source's grid has another size.
        OutputError: the place cannot be written.
    """
    ending = split_name(path)[1]
    if ending in _VOLUME_WRITERS:
        _write_volume(path, probabilities, grid)
        return
    if ending not in (".tif", ".tiff"):
        known = ", ".join((".tif", *_VOLUME_WRITERS))
        raise DataError(f"{path}: expected a name ending in {known} for probabilities, got another; name it so")
    with atomic_path(path) as temporary:
        write_tiff(temporary, probabilities, "CZYX" if probabilities.ndim == 4 else "CYX")


def draw_overlay(
    image: Shaped[ndarray, "channels rows cols"], label: Integer[ndarray, "rows cols"], labels: Labels | None = None
) -> UInt8[ndarray, "rows cols 3"]:
    """Tint each class of an image with its colour and outline it; see `to_rgb` for how the image is shown.

    Args:
        label: class indices, not file values; below 1 is left untinted.
        labels: the label table, which may have colours of its own; None for `class_colours`.
    """
    shown = to_rgb(image)
    inside = np.clip(label, 0, None)
    palette = label_colours(labels) if labels else class_colours(int(inside.max(initial=0)) + 1)
    colours = palette[inside]
    tinted = shown * (1 - _BLEND) + colours * _BLEND
    out = np.where((inside > 0)[..., None], tinted, shown).astype(np.uint8)
    edge = is_outline(inside)
    out[edge] = colours[edge]
    return out


def is_outline(label: Integer[ndarray, "rows cols"]) -> Bool[ndarray, "rows cols"]:
    """Tell which foreground pixels have a 4-neighbour of another class; the picture's border is no neighbour.

    >>> is_outline(np.array([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1]])).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 1],
           [0, 1, 0, 0]])
    """
    edge = np.zeros(label.shape, dtype=bool)
    down, right = label[1:] != label[:-1], label[:, 1:] != label[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (label > 0)


def to_rgb(image: Shaped[ndarray, "channels rows cols"]) -> UInt8[ndarray, "rows cols 3"]:
    """Show an image: its first three channels as RGB, else its first as gray, the 1st..99th percentile as 0..255.

    A constant image becomes mid-gray. The percentiles are over the shown channels together, so colours keep their hue.
    """
    shown = np.asarray(image[:3] if len(image) >= 3 else image[:1], dtype=np.float32)
    low, high = np.percentile(shown, (1, 99))
    if high <= low:  # nearly constant: few bright pixels in the dark
        low, high = float(shown.min()), float(shown.max())
    scaled = (shown - low) / (high - low) if high > low else np.full_like(shown, 0.5)
    gray = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(gray, 0, -1), (*gray.shape[1:], 3)))


def _smallest_unsigned(
    path: Path, raw: Integer[ndarray, "*space"], at_least: type[np.unsignedinteger]
) -> Integer[ndarray, "*space"]:
    low, high = int(raw.min(initial=0)), int(raw.max(initial=0))
    limit = 2**16 if split_name(path)[1] == ".png" else 2**32
    if low < 0 or high >= limit:
        raise DataError(
            f"{path}: expected label values 0..{limit - 1}, got {low}..{high}; "
            "write TIFF (32 bits), or number the labels from 0"
        )
    return raw.astype(np.promote_types(np.min_scalar_type(high), at_least), copy=False)


def _write_volume(path: Path, values: Shaped[ndarray, "*any"], grid: Grid) -> None:
    if grid.geometry is None:
        raise DataError(f"{path}: expected to be told where the volume lies, got no geometry; write TIFF without one")
    _VOLUME_WRITERS[split_name(path)[1]](path, values, grid.geometry, grid.source)


def _write_nifti(path: Path, values: Shaped[ndarray, "*any"], geometry: Geometry, source: Path | None) -> None:
    has_header = source is not None and source.is_file() and split_name(source)[1] in _NIFTI
    write_nifti(path, values, geometry, source if has_header else None)


def _write_itk(path: Path, values: Shaped[ndarray, "*any"], geometry: Geometry, source: Path | None) -> None:  # noqa: ARG001 - the geometry says all that these headers hold
    write_itk(path, values, geometry)


def _write_png(
    path: Path,
    raw: Integer[ndarray, "rows cols"],
    labels: Labels | None,
    geometry: Geometry | None,  # noqa: ARG001 - PNG says nothing of size
) -> None:
    from PIL import Image

    picture = Image.fromarray(raw)
    has_palette = labels is not None and (labels.count > 2 or labels.colours) and max(labels.values) < 256
    if labels is not None and has_palette and raw.dtype == np.uint8:
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[list(labels.values)] = label_colours(labels)
        picture.putpalette(palette.tobytes())
    picture.save(path, format="PNG")


def _write_tiff(
    path: Path,
    raw: Integer[ndarray, "*space"],
    labels: Labels | None,  # noqa: ARG001 - TIFF masks have no palette
    geometry: Geometry | None,
    *,
    ome: bool = False,
) -> None:
    write_tiff(path, raw, "ZYX"[-raw.ndim :], geometry, ome=ome)


_PICTURE_WRITERS: dict[str, Callable[[Path, Integer[ndarray, "*space"], Labels | None, Geometry | None], None]] = {
    ".png": _write_png,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".ome.tif": partial(_write_tiff, ome=True),
    ".ome.tiff": partial(_write_tiff, ome=True),
}
_VOLUME_WRITERS: dict[str, Callable[[Path, Shaped[ndarray, "*any"], Geometry, Path | None], None]] = {
    ".nii": _write_nifti,
    ".nii.gz": _write_nifti,
    ".nrrd": _write_itk,
    ".mha": _write_itk,
}
