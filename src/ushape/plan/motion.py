"""How patches may be moved: what turns must keep its shape, and thick slices do not mix."""

from __future__ import annotations

from ushape.patches.augment import AugmentConfig
from ushape.patches.shade import ShadeConfig
from ushape.patches.warp import WarpConfig
from ushape.plan.decision import Decision
from ushape.plan.recipe import Reasons
from ushape.plan.space import Grid

FLAT = 3.0
"""Slices this many times thicker than wide, or a patch this many times wider than deep, are moved in the plane only."""
SURE = 0.9
"""Two classes whose order along an axis is as sure as this have one: eight cases of eight."""
CUBE = 1.05
"""Sides that differ by less make a cube."""


def plan_augment(grid: Grid, patch: tuple[int, ...], order: tuple[float, ...] = ()) -> tuple[AugmentConfig, Reasons]:
    """Turn in the plane only where slices are thick, and by millimetres where voxels are not cubes.

    Mirror along an axis only if no two classes lie along it in an order of their own: an image in which the front is
    behind is none that will come. Quarter turns go with the axes that they swap.

    Args:
        order: per axis, see `Fingerprint.class_order`; () for none.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement ("anisotropic patches"), which looks at the
    patch alone.

    >>> plan_augment(Grid((20, 320, 320), (5.0, 0.8, 0.8)), (16, 64, 64))[0].warp.in_plane
    True
    """
    first, *others = grid.spacing
    is_flat = len(patch) == 3 and (first > FLAT * max(others) or max(patch) > FLAT * patch[0])
    turned = others if is_flat else grid.spacing
    sides = tuple(round(step / min(turned), 3) for step in grid.spacing)
    voxel = sides if max(turned) > CUBE * min(turned) else "cube"
    reasons = {"augment.warp.voxel": "the sides of a voxel: what turns keeps its shape"} if voxel != "cube" else {}
    if is_flat:
        why = "slices are thick, or few in a patch: they are turned and bent in their plane, all alike"
        reasons |= {"augment.warp.in_plane": why, "augment.shade.in_plane": "slices are thick, or few in a patch"}
    flips = choose_flips(order or (0.5,) * len(patch))
    may_turn = flips.value == "all" or set(flips.value) >= {len(patch) - 2, len(patch) - 1}
    if flips.reason:
        reasons |= dict.fromkeys(("augment.warp.flip", "augment.warp.flip_axes", "augment.warp.rotate90"), flips.reason)
    warp = WarpConfig(flip=bool(flips.value), flip_axes=flips.value, rotate90=may_turn, in_plane=is_flat, voxel=voxel)
    return AugmentConfig(warp=warp, shade=ShadeConfig(in_plane=is_flat)), reasons


def choose_flips(order: tuple[float, ...]) -> Decision:
    """Name the axes along which mirror images may come: those along which no two classes have an order of their own.

    >>> choose_flips((0.5, 0.98, 0.6))
    Decision(value=(0, 2), reason='classes lie in a fixed order along axis 1: its mirror images never come')
    """
    fixed = [axis for axis, sure in enumerate(order) if sure >= SURE]
    if not fixed:
        return Decision("all", "")
    free = tuple(axis for axis in range(len(order)) if axis not in fixed)
    named = "axis " + str(fixed[0]) if len(fixed) == 1 else "axes " + ", ".join(map(str, fixed))
    return Decision(
        free,
        f"classes lie in a fixed order along {named}: {'its' if len(fixed) == 1 else 'their'} mirror images never come",
    )
