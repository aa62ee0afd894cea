"""How patches may be moved: what turns must keep its shape, and thick slices do not mix."""

from __future__ import annotations

from ushape.patches.augment import AugmentConfig
from ushape.patches.shade import ShadeConfig
from ushape.patches.warp import WarpConfig
from ushape.plan.recipe import Reasons
from ushape.plan.space import Grid

FLAT = 3.0
"""Slices this many times thicker than wide, or a patch this many times wider than deep, are moved in the plane only."""
CUBE = 1.05
"""Sides that differ by less make a cube."""


def plan_augment(grid: Grid, patch: tuple[int, ...]) -> tuple[AugmentConfig, Reasons]:
    """Turn in the plane only where slices are thick, and by millimetres where voxels are not cubes.

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
    warp = WarpConfig(in_plane=is_flat, voxel=voxel)
    return AugmentConfig(warp=warp, shade=ShadeConfig(in_plane=is_flat)), reasons
