"""Which class of a scene is explained, and what a class is called."""

from __future__ import annotations

from collections.abc import Sequence

from ushape.core.errors import DataError
from ushape.core.labels import AnyLabel
from ushape.explain.story import Place
from ushape.workflows.scene import Scene, class_mask


def pick_class(scene: Scene, place: Place, asked: int | None, *, is_chosen: bool) -> int | None:
    """Choose the class to explain: the one asked for, that of a chosen voxel, or the commonest; None without any.

    Raises:
        DataError: the class asked for is not where it is to be explained.
    """
    label, names = scene.prediction.label, scene.recipe.data.labels.names
    sizes = {index: int(class_mask(label, index).sum()) for index in range(1, len(names))}
    if asked is None:
        here = [index for index in sizes if class_mask(label, index)[place]] if is_chosen else []
        return here[0] if here else max(sizes, key=sizes.__getitem__) if any(sizes.values()) else None
    found = scene.case.name if not is_chosen else f"{scene.case.name} at {','.join(map(str, place))}"
    if not (class_mask(label, asked)[place] if is_chosen else sizes[asked]):
        got = name_class(label, place, names) if is_chosen else "none"
        raise DataError(
            f"{found}: expected {names[asked]} in the prediction, got {got}; choose another --class, or another point "
            "with --at"
        )
    return asked


def name_class(label: AnyLabel, place: Place, names: Sequence[str]) -> str:
    """Name the class, or the classes, of a voxel.

    >>> import numpy as np
    >>> name_class(np.array([1, 0, -1]), (2,), ("background", "cell"))
    'ignored'
    """
    if label.dtype == bool:
        found = [name for name, mask in zip(names[1:], label, strict=True) if mask[place]]
        return " and ".join(found) or names[0]
    return "ignored" if label[place] < 0 else names[int(label[place])]
