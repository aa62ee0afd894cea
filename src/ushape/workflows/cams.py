"""What speaks for a class of a scene, in the window around the followed voxel or in one that holds the class."""

from __future__ import annotations

import numpy as np

from ushape.explain.cam import ClassMaps, explain_class
from ushape.explain.story import choose_place
from ushape.predict.postprocess import components
from ushape.workflows.pick import Choice
from ushape.workflows.scene import Scene, class_mask
from ushape.workflows.spot import Spot, lay_window

ELSEWHERE = ", not in the window around the followed place, so in one of its own"


def explain_region(scene: Scene, spot: Spot, choice: Choice, *, is_chosen: bool) -> ClassMaps:
    """Map what speaks for a class in the window, or in the piece of it that a chosen voxel belongs to.

    If the class is not in the window, another one is laid around the voxel that lies deepest in it.
    """
    whole, reason = class_mask(scene.decided, choice.index), choice.reason
    if not choice.index or not whole.any():
        nowhere = np.zeros(scene.case.space, dtype=bool)
        return ClassMaps("", "", nowhere, nowhere, {})
    mask = spot.cut(whole)
    if is_chosen and mask[spot.corner]:
        numbers, _ = components(mask)
        mask = numbers == numbers[spot.corner]
    elif not mask.any():
        spot, reason = lay_window(scene, choose_place(whole)), reason + ELSEWHERE
        mask = spot.cut(whole)
    labels = scene.recipe.data.labels
    found = explain_class(scene.net, spot.pixels, choice.index - (labels.count - scene.recipe.net.classes), mask)
    space, inner = scene.prepared.space, [mask.astype(np.float32), np.ones(mask.shape, dtype=np.float32)]
    back = [spot.put_back(one, space) for one in (*map(spot.widen, inner), *found.values())]
    region, seen, *own = scene.undo(np.stack([np.zeros(space, dtype=np.float32), *back]))[1:]
    levels = {name: np.clip(one, 0, 1) for name, one in zip(found, own, strict=True)}
    return ClassMaps(labels.names[choice.index], reason, np.round(region) > 0, np.round(seen) > 0, levels)
