"""Which class of a scene is explained, how a voxel got its class, and what that is called."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ushape.core.config import choose
from ushape.core.errors import ConfigError, DataError
from ushape.core.labels import AnyLabel
from ushape.explain.story import Decision, Place
from ushape.predict.predictor import decide
from ushape.workflows.scene import Scene, class_mask


@dataclass(frozen=True)
class Choice:
    """The class to explain, 0 for none, and why it is this one."""

    index: int = 0
    reason: str = ""


def read_class(asked: str, names: Sequence[str]) -> int:
    """Return the index of a foreground class; 0 if none is asked for.

    Raises:
        ConfigError: there is no such class, or it is the background.

    >>> read_class("cell", ("background", "cell")), read_class("", ("background", "cell"))
    (1, 0)
    """
    classes = {name: index for index, name in enumerate(names) if index}
    if asked and asked not in classes and asked.lower() in (names[0].lower(), "background"):
        raise ConfigError(
            f"--class {asked}: expected a class of the foreground, got the background, which is what is left where no "
            f"class is found and cannot be explained; choose one of: {', '.join(classes)}"
        )
    return choose(asked, classes, "class") if asked else 0


def pick_class(scene: Scene, place: Place, asked: int, *, is_chosen: bool) -> Choice:
    """Choose the class to explain: the one asked for, that of a chosen voxel, or the commonest.

    Raises:
        DataError: the class asked for is not found.
    """
    label, names = scene.prediction.label, scene.recipe.data.labels.names
    sizes = {index: int(class_mask(label, index).sum()) for index in range(1, len(names))}
    if asked and not sizes[asked]:
        got = " and ".join(names[index] for index, size in sizes.items() if size) or "none"
        raise DataError(
            f"{scene.case.name}: expected {names[asked]} in the prediction, got {got}; choose another --class"
        )
    if asked:
        return Choice(asked, "it was asked for")
    here = [index for index in sizes if class_mask(label, index)[place]] if is_chosen else []
    if here:
        return Choice(here[0], "the followed place belongs to it")
    why = "the followed place is background, which cannot be explained, and this is the" if is_chosen else "it is the"
    common = max(sizes, key=sizes.__getitem__)
    return Choice(common, f"{why} commonest class of the image") if sizes[common] else Choice()


def follow_decision(scene: Scene, place: Place) -> Decision:
    """Follow a voxel from the network's probabilities through the rules that clean the label."""
    config, names, shares = scene.recipe.predict, scene.recipe.data.labels.names, scene.prediction.probabilities
    assert shares is not None  # noqa: S101 - a scene is predicted with them
    label = decide(shares, config.threshold)
    found = [("", list_classes(label, place, names))]
    for rule in config.postprocess:
        label = rule.apply(label, scene.case.geometry)
        found.append((rule.name, list_classes(label, place, names)))
    changes = [now for before, now in itertools.pairwise(found) if now[1] != before[1]]
    return Decision(found[0][1], tuple(changes))


def list_classes(label: AnyLabel, place: Place, names: Sequence[str]) -> tuple[str, ...]:
    """Name the class, or the classes, of a voxel.

    >>> import numpy as np
    >>> list_classes(np.array([1, 0, -1]), (2,), ("background", "cell"))
    ('ignored',)
    """
    if label.dtype == bool:
        found = [name for name, mask in zip(names[1:], label, strict=True) if mask[place]]
        return tuple(found) or (names[0],)
    return ("ignored",) if label[place] < 0 else (names[int(label[place])],)
