"""NIfTI files that do not say how their axes run: what they are taken for, and how that is told."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

from ushape.core.errors import DataError
from ushape.io.images import split_name
from ushape.io.listing import name_some
from ushape.io.nifti import read_header

UNORIENTED = "orientation unknown (qform and sform code 0), taken as x to the left, y forwards, z upwards (LAS)"
"""What nibabel takes such a file for, and so does `read_nifti`."""
UNORIENTED_REMEDY = "correct its header if that is wrong: left and right may be swapped"


def is_unoriented(path: Path) -> bool:
    """Tell whether a file is a NIfTI that gives neither qform nor sform; of one that cannot be read, it is not told."""
    if split_name(path)[1] not in (".nii", ".nii.gz") or not path.is_file():
        return False
    try:
        header = read_header(path)
    except (DataError, OSError, EOFError, ValueError, zlib.error):
        return False
    return not header["qform_code"] and not header["sform_code"]


def tell_unoriented(paths: Iterable[Path]) -> str:
    """Say in one sentence which files do not say how their axes run; "" if all do."""
    found = [path.name for path in paths if is_unoriented(path)]
    files = f"{len(found)} file{'s' * (len(found) > 1)} ({name_some(found, 3)})"
    return f"{UNORIENTED} in {files}; {UNORIENTED_REMEDY}" if found else ""
