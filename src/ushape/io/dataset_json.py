"""Data sets that describe themselves in a dataset.json: the Medical Segmentation Decathlon's form, and nnU-Net's."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ushape.core.config import nearest, parse_config, unknown
from ushape.core.errors import ConfigError, DataError
from ushape.core.events import count
from ushape.core.files import read_json
from ushape.core.labels import Labels
from ushape.io.folders import dataset_folders, group_channels, match_folders
from ushape.io.images import READERS, split_name
from ushape.io.listing import name_some, name_twice, natural_key
from ushape.io.pairs import DatasetFiles, Matching, Pair

DATASET_JSON = "dataset.json"
_FOURTH_AXIS = "CZYX"
_DECATHLON = ("training", "labels", "modality")
_NNUNET = ("channel_names", "labels", "file_ending", "regions_class_order")
_NOT_READ = ("numTraining", "numTest", "test", "name", "description", "reference", "licence", "release")
_LIKE = 0.75  # "testing" is no misspelt "training", "channels" are "channel_names"
_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
T = TypeVar("T")


def read_dataset_json(folder: Path) -> DatasetFiles:
    """Read a data set with a dataset.json; `channel_names` makes it nnU-Net's, `training` the Decathlon's.

    Raises:
        DataError: the file is no JSON, lacks a key or holds a value of another kind, or names files that are not there.
    """
    path = folder / DATASET_JSON
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected an object with labels and training, got {type(data).__name__}; correct it")
    _refuse_misspelt(path, data)
    if "channel_names" in data:
        return _read_nnunet(path, data)
    if "training" in data:
        return _read_decathlon(path, data)
    raise DataError(f"{path}: expected the key training or channel_names, got {name_some(data)}; correct its spelling")


def read_class_names(folder: Path) -> Labels | None:
    """Read the classes that the dataset.json of a folder names; None if there is none.

    Raises:
        DataError: its table cannot be used.
    """
    path = folder / DATASET_JSON
    data = read_json(path) if path.is_file() else None
    return _labels_or_regions(path, data) if isinstance(data, dict) and "labels" in data else None


def _read_decathlon(path: Path, data: Mapping[str, Any]) -> DatasetFiles:
    listed = _need(path, data, "training", list)
    names = data.get("modality", {})
    channels = _in_order(path, names) if isinstance(names, dict) else ()
    pairs = [_listed_pair(path, number, entry) for number, entry in enumerate(listed, start=1)]
    _refuse_twice(path, pairs)
    _refuse_absent(path, [file for pair in pairs for file in (*pair.images, *pair.masks) if not file.exists()])
    is_4d = len(channels) > 1 and not any(pair.channels for pair in pairs)
    return DatasetFiles(
        layout="Decathlon (dataset.json)",
        matching=Matching(tuple(sorted(pairs, key=lambda pair: natural_key(pair.name)))),
        labels=_exclusive_labels(path, _need(path, data, "labels", dict)),
        channel_names=channels,
        axes=_FOURTH_AXIS if is_4d else "",
        is_listed=True,
    )


def _read_nnunet(path: Path, data: Mapping[str, Any]) -> DatasetFiles:
    ending = str(_need(path, data, "file_ending", str)).lower()
    if ending not in READERS:
        raise DataError(f"{path}: file_ending: {unknown('ending', ending, READERS)}")
    channels = _in_order(path, _need(path, data, "channel_names", dict))
    matching = match_folders(*dataset_folders(path.parent))
    for pair in matching.pairs:
        if len(pair.images) != len(channels):
            raise DataError(
                f"{path}: expected {count(len(channels), 'channel')} ({', '.join(channels)}), got "
                f"{count(len(pair.images), 'file')} for {pair.name}; "
                f"{_name_missing(pair, len(channels), ending)}, or correct channel_names"
            )
    return DatasetFiles("nnU-Net (dataset.json)", matching, _labels_or_regions(path, data), channels)


def _name_missing(pair: Pair, channels: int, ending: str) -> str:
    """Say which channels of a case to add, or how they are called."""
    there = {file.name.lower() for file in pair.images}
    wanted = [f"{pair.name}_{number:04d}{ending}" for number in range(channels)]
    missing = [name for name in wanted if name.lower() not in there]
    if len(missing) < channels and len(pair.images) < channels:
        return f"add {name_some(missing)}"
    return f"name them {wanted[0]} and so on"


def _listed_pair(path: Path, number: int, entry: Any) -> Pair:
    """Return a case that the file lists; an image that is there as `_0000` and on only is one of several channels."""
    where = f"{path}: training: entry {number}: expected an object with image and label, got"
    if not isinstance(entry, dict):
        raise DataError(f"{where} {reprlib.repr(entry)}; correct it")
    absent = [key for key in ("image", "label") if key not in entry]
    if absent:
        close = {key: nearest(key, [name for name in entry if name not in ("image", "label")]) for key in absent}
        renames = [f"rename {name!r} to {key!r}" for key, name in close.items() if name]
        raise DataError(
            f"{where} {name_some(map(repr, entry)) or 'no key'}; {' and '.join(renames) or f'add {absent[0]!r}'}"
        )
    image, label = (path.parent / str(entry[key]) for key in ("image", "label"))
    name, ending = split_name(image)
    numbered = tuple(image.parent.glob(f"{name}_[0-9][0-9][0-9][0-9]{ending}")) if not image.exists() else ()
    channels = (group_channels(sorted(numbered)) or {}).get(name, ())
    return Pair(name, channels[0] if channels else image, label, channels=channels if len(channels) > 1 else ())


def _labels_or_regions(path: Path, data: Mapping[str, Any]) -> Labels:
    table = _need(path, data, "labels", dict)
    if not any(isinstance(value, list) for value in table.values()):
        return _exclusive_labels(path, table)
    if "ignore" in table:
        raise DataError(f"{path}: expected regions without an ignore label, got both; relabel the ignored voxels")
    named = {name: value for name, value in table.items() if name != "background"}
    fields = {
        "names": ("background", *named),
        "values": (0, *_need(path, data, "regions_class_order", list)),
        "overlap": "regions",
        "regions": tuple(tuple(value) if isinstance(value, list) else (value,) for value in named.values()),
    }
    return _build_labels(path, fields)


def _exclusive_labels(path: Path, table: Mapping[Any, Any]) -> Labels:
    """Make classes of a table, name to value or value to name; one named "ignore" neither trains nor counts."""
    by_name = {name: value for value, name in table.items()} if all(str(key).isdigit() for key in table) else table
    try:
        values = {str(name): int(value) for name, value in by_name.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: labels: expected whole numbers, got {error}; correct it") from error
    if len(values) < len(table):
        names = Counter(map(str, table.values()))
        twice = [f"{name!r} for {_keys_of(table, name)}" for name, times in names.items() if times > 1]
        raise DataError(f"{path}: labels: expected each name once, got {name_some(twice)}; rename all but one")
    ignore = values.pop("ignore", "none")
    if 0 not in values.values():
        values["background"] = 0
    ordered = sorted(values, key=lambda name: values[name])
    fields = {"names": tuple(ordered), "values": tuple(values[name] for name in ordered), "ignore": ignore}
    return _build_labels(path, fields)


def _keys_of(table: Mapping[Any, Any], name: str) -> str:
    return " and ".join(str(key) for key, value in table.items() if str(value) == name)


def _build_labels(path: Path, fields: Mapping[str, Any]) -> Labels:
    try:
        return parse_config(Labels, fields, f"{path}: labels")
    except ConfigError as error:
        raise DataError(f"{error}; correct the file") from error


def _refuse_misspelt(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse a key that was meant to be one that is read: what is told later would be the consequence, or nothing."""
    known = _DECATHLON if "training" in data else _NNUNET if "channel_names" in data else (*_DECATHLON, *_NNUNET)
    absent = [key for key in known if key not in data]
    for key in data:
        if key not in (*known, *_NOT_READ) and (close := nearest(key, absent, likeness=_LIKE)):
            raise DataError(f"{path}: unknown key {key!r}; did you mean {close!r}? correct its spelling")


def _need(path: Path, data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    """Look up a key that must be there."""
    if key not in data:
        raise DataError(f"{path}: expected the key {key}, got {name_some(data)}; correct its spelling")
    value = data[key]
    if not isinstance(value, kind):
        raise DataError(f"{path}: {key}: expected {_KINDS[kind]}, got {value!r:.80}; correct it")
    return value


def _in_order(path: Path, names: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of numbered channels in the order of their numbers."""
    if not all(str(number).isdigit() for number in names):
        raise DataError(f"{path}: channels: expected numbers as keys, got {name_some(names)}; write 0, 1 and so on")
    return tuple(str(names[number]) for number in sorted(names, key=int))


def _refuse_absent(path: Path, absent: Sequence[Path]) -> None:
    if absent:
        names = name_some(file.name for file in absent)
        raise DataError(f"{path}: expected the files it lists, got none for {names}; put them back, or take them out")


def _refuse_twice(path: Path, pairs: Sequence[Pair]) -> None:
    if twice := name_twice([pair.name for pair in pairs]):
        raise DataError(f"{path}: training: expected each case once, got {twice} (entries); take out one of each")
