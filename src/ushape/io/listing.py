"""Which files lie in a folder, in what order, and how messages name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.images import READERS, is_readable

_SHOWN = 8
_VOXEL_FILES = (".raw", ".zraw", ".raw.gz")
_HEADER_FILES = (".mhd", ".nhdr")


def list_files(folder: Path) -> list[Path]:
    """List what may be images or masks in a folder, in natural order (2 before 10).

    Files, and folders with DICOM slices in them or below; hidden ones are left out, and the voxels beside a detached
    header.
    """
    children = [path for path in folder.iterdir() if not path.name.startswith(".")]
    headers = {path.stem for path in children if path.suffix.lower() in _HEADER_FILES}
    files = [path for path in children if (path.is_file() and not _is_voxels(path, headers)) or _is_case_folder(path)]
    return sorted(files, key=natural_key)


def natural_key(name: Path | str) -> tuple[tuple[int, int, str], ...]:
    """Build a sort key that puts 2 before 10; what differs in case or in leading zeros only still has an order.

    >>> sorted(["b10", "b2", "a"], key=natural_key)
    ['a', 'b2', 'b10']
    """
    text = str(name)
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    keys = tuple((0, int(part), "") if part[0] in "0123456789" else (1, 0, part.lower()) for part in parts)
    return (*keys, (-1, 0, text))


def name_some(names: Iterable[object], limit: int = _SHOWN) -> str:
    """List the first few names for a message, and how many more there are.

    >>> name_some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = [str(name) for name in names]
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest} more" if rest > 0 else "")


def name_twice(names: Sequence[str], *, first: int = 1) -> str:
    """Name what stands in a list more than once, and where, counted from `first`; "" if nothing does.

    >>> name_twice(["a", "b", "a"])
    'a in 1 and 3'
    """
    places: dict[str, list[str]] = {}
    for number, name in enumerate(names, start=first):
        places.setdefault(name, []).append(str(number))
    return name_some(f"{name} in {' and '.join(found)}" for name, found in places.items() if len(found) > 1)


def show_space(space: Sequence[int]) -> str:
    """Write a size with the order of its axes, where that can be mistaken.

    >>> show_space((512, 640)), show_space((24, 512, 640))
    ('512x640', '24x512x640 (z, y, x)')
    """
    return show_size(space) + " (z, y, x)" * (len(space) == 3)


def show_size(shape: Sequence[int]) -> str:
    """Write a size in axis order.

    >>> show_size((512, 640))
    '512x640'
    """
    return "x".join(str(size) for size in shape)


def tell_apart(path: Path, other: Path) -> tuple[str, str]:
    """Name two folders by the ends of their paths, as far back as they differ.

    >>> tell_apart(Path("runs/a/masks"), Path("runs/b/masks"))
    ('a/masks', 'b/masks')
    """
    parts, others = path.resolve().parts, other.resolve().parts
    longest = max(len(parts), len(others))
    length = next((n for n in range(1, longest) if parts[-n:] != others[-n:]), longest)
    return "/".join(parts[-length:]), "/".join(others[-length:])


def no_images(folder: Path, unknown: Sequence[Path]) -> DataError:
    """Build the error for a folder without a readable image; `unknown` are the files that are there."""
    got = f"only {name_some(path.name for path in unknown)}" if unknown else "none"
    return DataError(f"{folder}: expected images ({', '.join(READERS)}), got {got}; check the folder, or convert them")


def _is_voxels(path: Path, headers: set[str]) -> bool:
    return any(path.name.lower().endswith(ending) and path.name[: -len(ending)] in headers for ending in _VOXEL_FILES)


def _is_case_folder(path: Path) -> bool:
    return path.is_dir() and is_readable(path)
