"""Fill the shelf: prepare each case unless one of the same content and preparation lies there already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ushape.core.case import Case, Geometry
from ushape.core.events import Listener, Message, Progress, count, ignore_events
from ushape.core.labels import AnyLabel
from ushape.io.contents import hash_pair
from ushape.io.layouts import Pair, load_case
from ushape.patches.shelf import Shelf
from ushape.patches.store import write_case
from ushape.plan.recipe import Recipe
from ushape.prep.label_grid import resample_label_onto
from ushape.prep.pipeline import Pipeline

FORM = 2
"""Of prepared cases on disk; another number makes all of them anew."""
WORKERS = 2
"""Threads that prepare; each holds one case."""


def key_cases(pairs: Sequence[Pair], recipe: Recipe) -> dict[str, str]:
    """Return for each case's name the key of its prepared form.

    It stands for the contents of its files and for all that preparing depends on; names and places do not matter.

    Raises:
        DataError: a file cannot be read.
    """
    labels = recipe.data.labels.model_dump_json(exclude={"names", "colours"})
    how = "\n".join([str(FORM), str(recipe.data.channels), recipe.data.axes, labels, recipe.prep.model_dump_json()])

    def key(pair: Pair) -> str:
        return hashlib.blake2b(f"{how}\n{hash_pair(pair)}".encode(), digest_size=16).hexdigest()

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip([pair.name for pair in pairs], pool.map(key, pairs), strict=True))


def stock(pairs: Sequence[Pair], keys: Mapping[str, str], recipe: Recipe, shelf: Shelf, listener: Listener) -> None:
    """Prepare the cases that the shelf has not; two at a time, each read, prepared and written as a whole.

    Raises:
        DataError: a file cannot be read or does not fit the recipe.
        OutputError: the disk is full or the shelf cannot be written.
    """
    missing = [pair for pair in pairs if not shelf.has(keys[pair.name])]
    pipeline = Pipeline(recipe.prep)

    def make(pair: Pair) -> None:
        case, _ = pipeline.forward(load_pair(pair, recipe))
        write_case(shelf.folder, keys[pair.name], case)

    with ThreadPoolExecutor(WORKERS) as pool:
        for number, _ in enumerate(pool.map(make, missing)):
            listener(Progress("prepare", number + 1, len(missing)))
    earlier = f", {len(pairs) - len(missing)} of them before" if len(missing) < len(pairs) else ""
    listener(Message(f"{count(len(pairs), 'case')} prepared{earlier}; kept for other trainings in {shelf.folder}"))


def load_pair(pair: Pair, recipe: Recipe, listener: Listener = ignore_events) -> Case:
    """Read a pair as a recipe says; a label on another grid is resampled onto its image's, with a warning, or refused.

    Args:
        listener: who is warned; nobody where the survey has told it.
    Raises:
        GridMismatch: it lies on another grid, and the recipe is strict.
    """
    data = recipe.data

    def regrid(label: AnyLabel, own: Geometry, image: Geometry, shape: tuple[int, ...]) -> AnyLabel:
        listener(Message(f"{pair.name}: its label lies on another grid; resampled onto the image's", "warning"))
        return resample_label_onto(label, own, image, shape)

    regrid_or_refuse = None if data.strict else regrid
    return load_case(pair, data.labels, channels=data.channels, axes=data.axes, regrid=regrid_or_refuse)
