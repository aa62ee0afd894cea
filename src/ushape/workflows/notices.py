"""What a person must know of some files before they are used, each said once for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ushape.core.events import Listener, Message, count
from ushape.io.dataset_json import DATASET_JSON
from ushape.io.images import is_readable
from ushape.io.listing import list_files, name_some
from ushape.io.pair_table import TABLE_NAMES
from ushape.io.unoriented import tell_unoriented


def warn_unoriented(files: Iterable[Path], listener: Listener) -> None:
    """Warn of volumes that do not say how their axes run."""
    found = tell_unoriented(files)
    if found:
        listener(Message(found, "warning"))


def warn_unread(source: Path, images: Iterable[Path], listener: Listener) -> None:
    """Warn of files of unknown kind that lie beside the images of a folder.

    Args:
        images: those that were found in `source`.
    """
    for folder in sorted({image.parent for image in images if source in image.parents}):
        others = [path for path in list_files(folder) if not is_readable(path)]
        names = [path.name for path in others if path.name not in (*TABLE_NAMES, DATASET_JSON)]
        if names:
            text = f"{folder}: not read, unknown kind: {count(len(names), 'file')} ({name_some(names)})"
            listener(Message(f"{text}; convert or remove them", "warning"))
