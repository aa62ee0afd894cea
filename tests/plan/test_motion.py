"""Patches are moved so that what they show stays possible."""

import pytest

from ushape.plan.motion import plan_augment
from ushape.plan.space import Grid


@pytest.mark.parametrize(
    ("spacing", "patch", "voxel", "in_plane"),
    [
        ((1.0, 1.0), (128, 128), "cube", False),
        ((2.0, 1.0), (64, 128), (2.0, 1.0), False),
        ((1.0, 1.0, 1.0), (40, 56, 40), "cube", False),
        ((1.01, 1.0, 1.0), (40, 56, 40), "cube", False),
        ((2.5, 0.8, 0.8), (32, 64, 64), "cube", True),
        ((5.0, 0.8, 1.0), (32, 64, 64), (6.25, 1.0, 1.25), True),
        ((1.5, 0.75, 0.75), (32, 64, 64), (2.0, 1.0, 1.0), False),
        ((1.0, 1.0, 1.0), (8, 64, 64), "cube", True),
        ((0.8, 0.8, 4.0), (64, 64, 16), (1.0, 1.0, 5.0), False),
    ],
)
def test_thick_slices_are_moved_in_their_plane_and_other_voxels_by_their_sides(
    spacing: tuple[float, ...], patch: tuple[int, ...], voxel: object, in_plane: bool
) -> None:
    config, reasons = plan_augment(Grid(patch, spacing), patch)
    assert (config.warp.voxel, config.warp.in_plane, config.shade.in_plane) == (voxel, in_plane, in_plane)
    assert ("augment.warp.voxel" in reasons) == (voxel != "cube")
    assert ("augment.warp.in_plane" in reasons) == in_plane


def test_an_axis_along_which_classes_have_an_order_is_not_mirrored_nor_turned() -> None:
    config, reasons = plan_augment(Grid((40, 56, 40), (1.0, 1.0, 1.0)), (40, 56, 40), (0.6, 0.95, 0.5))
    assert config.warp.flip_axes == (0, 2)
    assert not config.warp.rotate90
    assert "order along axis 1" in reasons["augment.warp.flip_axes"]
    free, _ = plan_augment(Grid((40, 56, 40), (1.0, 1.0, 1.0)), (40, 56, 40), (0.95, 0.6, 0.5))
    assert free.warp.rotate90
