"""The commonest layout: a folder of images beside a folder of masks, matched by the names of their files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.images import is_readable, split_name
from ushape.io.listing import list_files, name_some, natural_key
from ushape.io.pairs import Matching, Pair, refuse_strays

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "imagestr")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations", "labelstr")
MASK_SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_seg", "_gt", "-mask", "-label", "-seg")
CHANNEL_STEM = re.compile(r"(.+)_([0-9]{4})")
"""The stem of one channel of a case, as nnU-Net names it."""


def pair_folders(images: Path, masks: Path) -> list[Pair]:
    """Match the files of two folders by stem (see `match_folders`); every file must find its partner.

    Raises:
        DataError: there are no images, or an image or a mask stands alone or twice; the message lists them.
    """
    matching = match_folders(images, masks)
    refuse_strays(matching, images)
    return list(matching.pairs)


def match_folders(images: Path, masks: Path) -> Matching:
    """Match two folders without judging.

    A mask has its image's stem, or that stem with one of `MASK_SUFFIXES` behind it; the plain stem goes first. Image
    stems that all end in the number of a channel, `_0000` and on, are channels if the masks' stems have no such end.
    """
    image_files, mask_files = list_files(images), list_files(masks)
    readable = [path for path in image_files if is_readable(path)]
    free = {split_name(path)[0]: path for path in reversed(mask_files) if is_readable(path)}
    cases, incomplete = _group_by_case(readable, free)
    partners = _plain_stems_first(list(cases), free)
    return Matching(
        pairs=tuple(_pair(name, files, partners[name]) for name, files in cases.items() if name in partners),
        missing=tuple(files[0] for name, files in cases.items() if name not in partners),
        surplus=tuple(sorted(free.values(), key=natural_key)),
        doubled=doubled(image_files) + doubled(mask_files),
        unknown=tuple(path for path in image_files + mask_files if not is_readable(path)),
        incomplete=incomplete,
    )


def list_class_folders(masks: Path) -> list[Path]:
    """List the folders of single classes in a folder of masks, in natural order; none if it holds masks itself."""
    if any(is_readable(path) for path in list_files(masks)):
        return []
    folders = [path for path in masks.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted((path for path in folders if any(map(is_readable, list_files(path)))), key=natural_key)


def match_class_folders(images: Path, masks: Sequence[Path]) -> Matching:
    """Match images with one folder of masks per class; an image needs a mask in each of them."""
    matchings = [match_folders(images, folder) for folder in masks]
    per_class = [{pair.name: pair for pair in matching.pairs} for matching in matchings]
    complete = [pair for pair in matchings[0].pairs if all(pair.name in pairs for pairs in per_class)]
    return Matching(
        pairs=tuple(_with_class_masks([pairs[pair.name] for pairs in per_class]) for pair in complete),
        missing=_unique(path for matching in matchings for path in matching.missing),
        surplus=_unique(path for matching in matchings for path in matching.surplus),
        doubled=_unique(path for matching in matchings for path in matching.doubled),
        unknown=_unique(path for matching in matchings for path in matching.unknown),
        incomplete=_unique(path for matching in matchings for path in matching.incomplete),
    )


def group_channels(files: Sequence[Path]) -> dict[str, tuple[Path, ...]] | None:
    """Group files by case if all stems end in the number of a channel; None if one does not, or none is number 0.

    >>> files = [Path("a_0000.nii"), Path("a_0001.nii"), Path("b_0000.nii"), Path("b_0001.nii")]
    >>> [(name, len(channels)) for name, channels in group_channels(files).items()]
    [('a', 2), ('b', 2)]
    """
    found = [CHANNEL_STEM.fullmatch(split_name(path)[0]) for path in files]
    if not files or not all(found) or not any(match and int(match[2]) == 0 for match in found):
        return None
    groups: dict[str, dict[int, Path]] = {}
    for path, match in zip(files, found, strict=True):
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = path
    return {name: tuple(numbered[number] for number in sorted(numbered)) for name, numbered in groups.items()}


def dataset_folders(folder: Path) -> tuple[Path, Path]:
    """Find the folder of images and the folder of masks in a data set.

    Raises:
        DataError: one of them is missing, or there are several.
    """
    return _one_of(folder, IMAGE_FOLDERS, "images/"), _one_of(folder, MASK_FOLDERS, "masks/ or labels/")


def doubled(files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the readable files that share their stem with another one."""
    stems = Counter(split_name(path)[0] for path in files if is_readable(path))
    return tuple(path for path in files if is_readable(path) and stems[split_name(path)[0]] > 1)


def _group_by_case(
    images: Sequence[Path], masks: Collection[str]
) -> tuple[dict[str, tuple[Path, ...]], tuple[Path, ...]]:
    """Return the image files of each case, and the first file of those with fewer than others."""
    plain: dict[str, tuple[Path, ...]] = {}
    for path in images:
        plain.setdefault(split_name(path)[0], (path,))
    groups = group_channels(images)
    if groups is None or _has_partner(plain, masks) or not _has_partner(groups, masks):
        return plain, ()
    usual = max(map(len, groups.values()))
    return groups, tuple(files[0] for files in groups.values() if len(files) < usual)


def _has_partner(stems: Iterable[str], masks: Collection[str]) -> bool:
    return any(stem + suffix in masks for stem in stems for suffix in ("", *MASK_SUFFIXES))


def _pair(name: str, files: tuple[Path, ...], mask: Path) -> Pair:
    return Pair(name, files[0], mask, channels=files if len(files) > 1 else ())


def _plain_stems_first(stems: Sequence[str], free: dict[str, Path]) -> dict[str, Path]:
    """Give each image its mask, taking it out of `free`."""
    partners: dict[str, Path] = {}
    for suffixes in (("",), MASK_SUFFIXES):
        for stem in stems:
            fitting = [stem + suffix for suffix in suffixes if stem + suffix in free]
            if stem not in partners and fitting:
                partners[stem] = free.pop(fitting[0])
    return partners


def _one_of(folder: Path, names: Sequence[str], what: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with images/ and masks/, got none; check the path")
    children = sorted(child.name for child in folder.iterdir() if child.is_dir())
    found = [name for name in children if name.lower() in names]
    if len(found) != 1:
        got = f"several ({', '.join(found)})" if found else f"none (folders: {name_some(children) or 'none'})"
        raise DataError(f"{folder}: expected one folder {what}, got {got}; rename or move the folders")
    return folder / found[0]


def _with_class_masks(pairs: Sequence[Pair]) -> Pair:
    """Put the pairs of one case with the mask of each class together."""
    masks = tuple(mask for pair in pairs for mask in pair.masks)
    return replace(pairs[0], mask=None, class_masks=masks)


def _unique(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(paths))
