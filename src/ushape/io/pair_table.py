"""Data sets listed in a table: one row per case, columns for its files, its patient and its split."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ushape.core.config import nearest
from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.images import split_name
from ushape.io.listing import name_some, name_twice
from ushape.io.pairs import DatasetFiles, Matching, Pair, class_file_labels

TABLE_NAMES = ("dataset.csv", "pairs.csv", "dataset.tsv", "pairs.tsv")
"""Names of a table that describes the folder it lies in."""
TABLE_ENDINGS = {".csv": ",", ".tsv": "\t"}
"""Endings of tables, and what usually stands between their columns."""
_OPTIONAL = ("name", "patient", "split")
_LIKE = 0.75
_PATIENTS = ("subject", "patient", "person", "participant")

Row = Mapping[str, str]


def read_table(path: Path) -> DatasetFiles:
    """Read a data set from a CSV or TSV table with the columns image and mask, and perhaps name, patient and split.

    Instead of image there may be one column per channel, `image_t1`, `image_t2`; instead of mask one per class,
    `mask_liver`, `mask_tumour`. Paths are relative to the table. A case bears the name of its (first) image unless
    there is a column name. In a table without any mask, all rows are there to be predicted. Other columns are not read,
    which `DatasetFiles.remark` says.

    Raises:
        DataError: a column is missing or misspelt, a row is not complete, a file is not there, or a name comes twice.
    """
    pairs, rows, head = _read_pairs(path)
    columns = [name.lower() for name in head]
    images, masks = _pick(columns, "image"), _pick(columns, "mask")
    names = [pair.name for pair in pairs]
    known = tuple(pair for pair in pairs if pair.masks)
    missing = tuple(pair.image for pair in pairs if known and not pair.masks)
    return DatasetFiles(
        layout=f"table ({path.name})",
        matching=Matching(known or tuple(pairs), missing=missing, rows=_name_rows(path, pairs)),
        labels=_labels_of(masks),
        channel_names=tuple(column.removeprefix("image_") for column in images) if len(images) > 1 else (),
        groups=_filled(names, rows, "patient"),
        splits=_filled(names, rows, "split"),
        is_listed=True,
        remark=_remark_on(path, head),
    )


def list_table(path: Path) -> list[Pair]:
    """List the cases of a table, those without a mask too.

    Raises:
        DataError: as `read_table`.
    """
    return _read_pairs(path)[0]


def _read_pairs(path: Path) -> tuple[list[Pair], list[Row], list[str]]:
    """Return the cases, the rows they come from, and the columns."""
    head, rows = _read_rows(path)
    columns = [name.lower() for name in head]
    images, masks = _pick(columns, "image"), _pick(columns, "mask")
    _check_columns(path, head, images, masks)
    pairs = [_pair_of(path, number, row, images, masks) for number, row in enumerate(rows, start=2)]
    _refuse_twice(path, pairs, has_names="name" in columns)
    return pairs, rows, head


def _read_rows(path: Path) -> tuple[list[str], list[Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a table in UTF-8, got {error}; save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    usual = TABLE_ENDINGS.get(path.suffix.lower(), ",")
    delimiter = ";" if ";" in head and usual not in head else usual
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True, restval="")
    rows = [{str(key).strip().lower(): str(value).strip() for key, value in row.items()} for row in reader]
    return [str(name).strip() for name in reader.fieldnames or ()], list(rows)


def _pick(columns: Sequence[str], kind: str) -> list[str]:
    return [column for column in columns if column == kind or column.startswith(f"{kind}_")]


def _check_columns(path: Path, head: Sequence[str], images: Sequence[str], masks: Sequence[str]) -> None:
    strangers = _list_strangers(head)
    read = [name.lower() for name in head if name and name not in strangers]
    needed = [kind for kind, found in (("image", images), ("mask", masks)) if not found]
    absent = [name for name in _OPTIONAL if name not in read]
    if not needed and not _propose_names(strangers, [], absent) and len(set(read)) == len(read):
        return
    got = ", ".join(head) or "none"
    if any(split_name(Path(name))[1] for name in head):
        raise DataError(f"{path}: expected a header as the first line, got {got}; write image,mask above it")
    raise DataError(
        f"{path}: expected the columns image and mask (or image_NAME and mask_NAME for several), and perhaps "
        f"{', '.join(_OPTIONAL)}, got {got}; {_propose_names(strangers, needed, absent) or 'rename or remove one'}"
    )


def _list_strangers(head: Sequence[str]) -> list[str]:
    """List the columns that are not read; those without a name say nothing."""
    lower = [name.lower() for name in head]
    known = (*_pick(lower, "image"), *_pick(lower, "mask"), *_OPTIONAL, "")
    return [name for name in head if name.lower() not in known]


def _propose_names(strangers: Sequence[str], needed: Sequence[str], absent: Sequence[str]) -> str:
    """Say which column to call how, where that is plain: it is spelt alike, or the only one for the only one needed."""
    last = needed[0] if len(strangers) == len(needed) == 1 else ""
    names = {stranger: nearest(stranger, needed) or _meant(stranger, absent) or last for stranger in strangers}
    return ", ".join(f"rename {stranger} to {name}" for stranger, name in names.items() if name)


def _meant(stranger: str, absent: Sequence[str]) -> str:
    """Return the name that a column misspells, "" if none: who types fast still begins with the right letter.

    >>> _meant("Patinet", ["patient"]), _meant("maks_liver", []), _meant("age_years", []), _meant("patient_id", [])
    ('patient', 'mask_liver', '', '')
    """
    kind, line, rest = stranger.lower().partition("_")
    name = nearest(kind, ("image", "mask") if line else absent, likeness=_LIKE)
    return f"{name}{line}{rest}" if name[:1] == kind[:1] else ""


def _remark_on(path: Path, head: Sequence[str]) -> str:
    """Say which columns are not read, and which of them may name patients, who must not be on both sides of a split."""
    unread = _list_strangers(head)
    if not unread:
        return ""
    is_said = any(name.lower() == "patient" for name in head)
    patients = [] if is_said else [name for name in unread if name.lower().startswith(_PATIENTS)]
    remedy = f"if {patients[0]} names patients, rename it to patient" if patients else "training does without"
    return f"{path}: not read: {name_some(unread)}; {remedy}"


def _pair_of(path: Path, number: int, row: Row, images: Sequence[str], masks: Sequence[str]) -> Pair:
    image_files = [_file(path, number, column, row[column]) for column in images]
    mask_files = [_file(path, number, column, row[column]) for column in masks if row[column]]
    if mask_files and len(mask_files) < len(masks):
        raise DataError(f"{path}: row {number}: expected a mask of each class or none, got {len(mask_files)}; add them")
    return Pair(
        name=row.get("name") or split_name(image_files[0])[0],
        image=image_files[0],
        mask=mask_files[0] if mask_files and masks == ["mask"] else None,
        channels=tuple(image_files) if len(images) > 1 else (),
        class_masks=tuple(mask_files) if masks != ["mask"] else (),
    )


def _file(path: Path, number: int, column: str, value: str) -> Path:
    file = path.parent / value
    if not value or not file.exists():
        got = repr(value) if value else "nothing"
        raise DataError(f"{path}: row {number}: expected a file in column {column}, got {got}; correct the path")
    return file


def _refuse_twice(path: Path, pairs: Sequence[Pair], *, has_names: bool) -> None:
    if not pairs:
        raise DataError(f"{path}: expected a row for each case, got none; add them")
    remedy = "correct the column name" if has_names else "add a column name"
    if twice := name_twice([pair.name for pair in pairs], first=2):
        raise DataError(f"{path}: expected each name once, got {twice} (rows); {remedy}, or remove one")


def _name_rows(path: Path, pairs: Sequence[Pair]) -> dict[Path, str]:
    return {pair.image: f"{path.name}, row {number}" for number, pair in enumerate(pairs, start=2)}


def _labels_of(masks: Sequence[str]) -> Labels | None:
    """Return the classes if each has a mask of its own."""
    if list(masks) == ["mask"]:
        return None
    return class_file_labels([column.removeprefix("mask_") for column in masks])


def _filled(names: Sequence[str], rows: Sequence[Row], column: str) -> dict[str, str]:
    return {name: row[column] for name, row in zip(names, rows, strict=True) if row.get(column)}
