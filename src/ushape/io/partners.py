"""Partners: predicted masks and the true ones they are measured against, found by the names of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.dataset_json import read_class_names
from ushape.io.folders import MASK_FOLDERS, MASK_SUFFIXES, doubled, list_class_folders
from ushape.io.images import is_readable, split_name
from ushape.io.layouts import is_dataset, scan_dataset
from ushape.io.listing import list_files, name_some
from ushape.io.pairs import Pair, class_file_labels, refuse

TEST_FOLDER = "labelsts"
"""Where the Decathlon and nnU-Net keep the true masks of test images."""
Files = Mapping[str, tuple[Path, ...]]
"""Case name to its mask file, or to one for each class."""


@dataclass(frozen=True)
class Truth:
    """True masks.

    Attributes:
        labels: the classes, where the data set names them.
        images: the case of each image, where there are images.
    """

    masks: Files
    labels: Labels | None = None
    images: Mapping[str, Pair] = field(default_factory=dict)


def find_truth(path: Path) -> Truth:
    """Find true masks: those of a data set, or a folder of them, or of a folder for each class.

    A dataset.json beside a folder of one of the usual names, such as labelsTr, names their classes.

    Raises:
        DataError: there is nothing of the kind.
    """
    if is_dataset(path):
        found = scan_dataset(path)
        pairs = {pair.name: pair for pair in found.pairs if pair.masks}
        return Truth({name: pair.masks for name, pair in pairs.items()}, found.labels, pairs)
    _need_folder(path, "of true masks")
    folders = list_class_folders(path)
    names = [folder.name for folder in folders]
    is_part = path.resolve().name.lower() in (*MASK_FOLDERS, TEST_FOLDER)
    named = read_class_names(path.resolve().parent) if is_part else None
    return Truth(_list_masks(folders or [path]), class_file_labels(names) if folders else named)


def name_classes(truth: Truth, labels: Labels, where: str) -> Truth:
    """Give true masks the classes of a label table; those of a folder for each class keep the folders' order.

    Raises:
        DataError: the classes have a file each on one side only, or other names.
    """
    if "files" not in (labels.overlap, truth.labels.overlap if truth.labels else "none"):
        return replace(truth, labels=labels)
    if truth.labels is None or set(truth.labels.names) != set(labels.names):
        names = [name_some(table.names[1:]) if table else "one file for all" for table in (truth.labels, labels)]
        raise DataError(
            f"{where}: expected the classes of the given names ({names[1]}), got {names[0]}; leave out --model"
        )
    return truth


def match_predictions(
    folder: Path, truth: Truth, where: Path, *, partial: bool = False
) -> tuple[list[tuple[str, tuple[Path, ...], tuple[Path, ...]]], tuple[Path, ...]]:
    """Give each prediction its truth, by the names of the files.

    Args:
        where: the truth, for messages.
        partial: whether some of the truth may have no prediction.
    Returns:
        (name, predicted masks, true masks) of each case, and the true masks without a prediction.
    Raises:
        DataError: a file has no partner, or two share a name.
    """
    _need_folder(folder, "of predicted masks")
    by_class = [folder / name for name in truth.labels.names[1:]] if truth.labels else []
    guesses = _list_masks(by_class if by_class and all(path.is_dir() for path in by_class) else [folder])
    if not guesses:
        raise DataError(f"{folder}: expected predicted masks, got none that can be read; check the folder")
    partners = {name: _partner(name, truth.masks) for name in guesses}
    alone = [guesses[name][0] for name, partner in partners.items() if partner is None]
    refuse(alone, f"predictions that have a true mask of the same name in {where}", "none", "remove them, or add it")
    unmet = [masks[0] for name, masks in truth.masks.items() if name not in partners.values()]
    if not partial:
        wanted = f"true masks that have a prediction of the same name in {folder}"
        refuse(unmet, wanted, "none", "predict these images too, or leave them out with --only-predicted")
    found = [(name, guesses[name], truth.masks[partner]) for name, partner in partners.items() if partner is not None]
    return found, tuple(unmet)


def _need_folder(path: Path, what: str) -> None:
    """Refuse a path that is no folder.

    Raises:
        DataError: it is none.
    """
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder {what}, got {'a file' if path.exists() else 'nothing'}; check it")


def _list_masks(folders: Sequence[Path]) -> Files:
    """List the masks in a folder, or of each case one in each of several."""
    listed = []
    for folder in folders:
        files = [file for file in list_files(folder) if is_readable(file)]
        refuse(doubled(files), "each name once", "two files of one stem", "rename or remove one of each")
        listed.append({split_name(file)[0]: file for file in files})
    short = [file for files in listed for name, file in files.items() if not all(name in other for other in listed)]
    names = name_some(folder.name for folder in folders)
    refuse(
        short, f"a mask of each class ({names})", "only some", "add the others: an empty mask where there is nothing"
    )
    return {name: tuple(files[name] for files in listed) for name in listed[0]}


def _partner(name: str, masks: Files) -> str | None:
    return next((name + suffix for suffix in ("", *MASK_SUFFIXES) if name + suffix in masks), None)
