"""Data set layouts: what stands in a folder, told by a table of layouts; the first that recognises it describes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.cases import fit_channels, load_case
from ushape.io.dataset_json import DATASET_JSON, read_dataset_json
from ushape.io.dicom import Series, find_series, holds_dicom, is_dicom_folder
from ushape.io.folders import (
    IMAGE_FOLDERS,
    dataset_folders,
    doubled,
    group_channels,
    list_class_folders,
    match_class_folders,
    match_folders,
    pair_folders,
)
from ushape.io.images import READERS, is_readable, is_series, split_name
from ushape.io.listing import list_files, no_images, show_size
from ushape.io.pair_table import TABLE_ENDINGS, TABLE_NAMES, list_table, read_table
from ushape.io.pairs import DatasetFiles, Pair, class_file_labels, refuse, refuse_strays

__all__ = [
    "DatasetFiles",
    "Pair",
    "dataset_folders",
    "find_dataset",
    "find_images",
    "find_inputs",
    "find_pairs",
    "fit_channels",
    "is_dataset",
    "load_case",
    "pair_folders",
    "scan_dataset",
    "show_size",
]


def find_dataset(path: Path) -> DatasetFiles:
    """Find the training cases of a data set, whatever its layout.

    In this order: a CSV or TSV table, or a folder with one (see `TABLE_NAMES`); a dataset.json of the Decathlon or of
    nnU-Net; images/ beside masks/ with a folder per class; images/ beside masks/ or labels/, matched by stem.

    Raises:
        DataError: it is no data set, or a file of it stands alone, twice or nowhere; the message lists them.
    """
    found = scan_dataset(path)
    refuse_strays(found.matching, path)
    return found


def is_dataset(path: Path) -> bool:
    """Tell whether a path is a data set: a table, or a folder with one, with a dataset.json, or with images/."""
    if path.is_file() or _table_of(path) or (path / DATASET_JSON).is_file():
        return path.exists()
    return path.is_dir() and any(child.is_dir() and child.name.lower() in IMAGE_FOLDERS for child in path.iterdir())


def scan_dataset(path: Path) -> DatasetFiles:
    """Find what a data set holds, as `find_dataset`, without judging files that do not fit together.

    Raises:
        DataError: it is no data set, or what describes it cannot be read.
    """
    describe = next(describe for recognises, describe in LAYOUTS if recognises(path))
    return describe(path)


def find_pairs(folder: Path) -> list[Pair]:
    """Find the training cases of a data set; see `find_dataset`."""
    return list(find_dataset(folder).pairs)


def find_inputs(path: Path, *, channels: int = 1, series: str = "") -> list[Pair]:
    """Find what to predict: the cases of a table, or what `find_images` finds.

    Files whose stems all end in the number of a channel are put together if that makes `channels` of each case.

    Args:
        channels: how many the model expects.
        series: which DICOM series to read, by UID, its end, or part of its description; of a folder in which it means
            but one, that one, else one of each folder in it. Where there are several, cases are named by it too.
    Raises:
        DataError: as `find_images`; or some cases have fewer channels than others.
    """
    table = _table_of(path)
    if table:
        return list_table(table)
    chosen = find_series(path, series) if series and holds_dicom(path) else {}
    if len(chosen) == 1:
        return [_series_pair(path, path.name, chosen)]
    files = find_images(path)
    groups = group_channels(files) or {}
    if groups and max(map(len, groups.values())) == channels:
        short = [group[0] for group in groups.values() if len(group) < channels]
        refuse(short, f"{channels} channels of each case", "fewer", "add the missing channel files")
        return [Pair(name, group[0], channels=group if channels > 1 else ()) for name, group in groups.items()]
    return [_single(file, series) for file in files]


def _single(file: Path, series: str) -> Pair:
    name = split_name(file)[0]
    chosen = find_series(file, series) if series and is_series(file) else {}
    if len(chosen) == 1:
        return _series_pair(file, name, chosen)
    return Pair(name, file, series=series if is_series(file) else "")  # reading it says which series there are


def _series_pair(path: Path, name: str, chosen: dict[str, Series]) -> Pair:
    """Name the case by its series too, if there are several: the masks of two must not overwrite each other."""
    ((word, series),) = chosen.items()
    return Pair(f"{name}_{word}" if word else name, path, series=series.uid)


def find_images(path: Path) -> list[Path]:
    """Find what to predict: one file, the files of a folder, or of its `images/` if it has one; natural order.

    A folder with DICOM slices in it or below counts as one file, and so does a zip of them; the given folder itself
    only if it holds slices directly.

    Raises:
        DataError: there is nothing, nothing readable, or two files of one stem, whose masks would collide.
    """
    if (path.is_file() and is_readable(path)) or is_dicom_folder(path):
        return [path]
    if not path.is_dir():
        what = "another kind of file" if path.exists() else "nothing"
        raise DataError(f"{path}: expected a folder or one of {', '.join(READERS)}, got {what}; check the path")
    inner = [child for child in path.iterdir() if child.is_dir() and child.name.lower() in IMAGE_FOLDERS]
    files = list_files(inner[0] if inner else path)
    refuse(doubled(files), "each name once", "two files of one stem", "rename or remove one of each")
    images = [file for file in files if is_readable(file)]
    if not images:
        raise no_images(path, files)
    return images


def _table_of(path: Path) -> Path | None:
    """Return the table that describes a data set: the path itself, or one of known name in the folder."""
    if path.is_file():
        return path if path.suffix.lower() in TABLE_ENDINGS else None
    return next((path / name for name in TABLE_NAMES if (path / name).is_file()), None)


def _read_table(path: Path) -> DatasetFiles:
    return read_table(_table_of(path) or path)


def _has_class_folders(path: Path) -> bool:
    try:
        return bool(list_class_folders(dataset_folders(path)[1]))
    except DataError:  # no such folders: another layout, or none
        return False


def _read_class_folders(path: Path) -> DatasetFiles:
    images, masks = dataset_folders(path)
    folders = list_class_folders(masks)
    labels = class_file_labels([folder.name for folder in folders])
    return DatasetFiles(f"{images.name}/ and {masks.name}/CLASS/", match_class_folders(images, folders), labels)


def _read_folders(path: Path) -> DatasetFiles:
    images, masks = dataset_folders(path)
    return DatasetFiles(f"{images.name}/ and {masks.name}/", match_folders(images, masks))


LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], DatasetFiles]], ...] = (
    (lambda path: _table_of(path) is not None, _read_table),
    (lambda path: (path / DATASET_JSON).is_file(), read_dataset_json),
    (_has_class_folders, _read_class_folders),
    (lambda _: True, _read_folders),
)
"""What recognises a layout, and what describes a data set that has it."""
