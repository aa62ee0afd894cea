"""Laws of the flat pictures of volumes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ushape.core.case import Geometry
from ushape.report.planes import fullest_slice, planes


def oriented(order: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Geometry:
    """Array axis i runs along world axis order[i], forwards or backwards."""
    direction = tuple(
        tuple(float(sign * (axis == world)) for axis in range(3)) for world, sign in zip(order, signs, strict=True)
    )
    return Geometry(spacing, "mm", (0.0, 0.0, 0.0), direction)


def world_grid(order: tuple[int, ...], signs: tuple[int, ...], size: int = 5) -> np.ndarray:
    """Return for every voxel its position (x, y, z) along right, anterior, superior."""
    index = np.indices((size,) * 3)
    position = np.zeros_like(index)
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        position[world] = index[axis] if sign > 0 else size - 1 - index[axis]
    return position


def test_a_flat_image_is_its_own_plane() -> None:
    image = np.arange(24).reshape(2, 3, 4)
    (plane,) = planes(np.zeros((3, 4), dtype=bool))
    assert np.array_equal(plane.cut(image), image)
    assert plane.name == ""


def test_a_volume_has_three_planes_through_its_fullest_slices() -> None:
    foreground = np.zeros((6, 7, 8), dtype=bool)
    foreground[4, 1:3, 5] = foreground[4, 2, :] = True
    assert [(plane.name, plane.index) for plane in planes(foreground)] == [("z", 4), ("y", 2), ("x", 5)]


def test_without_foreground_the_planes_go_through_the_middle() -> None:
    assert [plane.index for plane in planes(np.zeros((5, 7, 9), dtype=bool))] == [2, 3, 4]


def test_the_fullest_slice_is_the_middle_of_a_long_object() -> None:
    foreground = np.zeros((11, 4, 4), dtype=bool)
    foreground[2:9] = True
    assert fullest_slice(foreground, 0) == 5


def test_a_plane_cuts_images_and_labels_alike() -> None:
    volume = np.random.default_rng(0).integers(0, 9, (3, 4, 5))
    for plane in planes(volume > 4):
        assert np.array_equal(plane.cut(volume[None])[0], plane.cut(volume))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_the_patient_always_lies_as_radiologists_expect(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    position = world_grid(order, signs)
    shown = {plane.name: plane for plane in planes(np.zeros((5, 5, 5), dtype=bool), oriented(order, signs))}
    assert set(shown) == {"axial", "coronal", "sagittal"}
    towards = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}
    for name, (up, left) in towards.items():
        flat = shown[name].cut(position)
        assert (flat[up, 0] == 4).all(), "the top is anterior or superior"
        assert (flat[left, :, 0] == 4).all(), "the left is the patient's right, or anterior"


def test_the_edges_are_named() -> None:
    shown = planes(np.zeros((3, 3, 3), dtype=bool), oriented((2, 1, 0), (1, 1, 1)))
    assert [(plane.name, plane.edges) for plane in shown] == [
        ("axial", ("A", "R")),
        ("coronal", ("S", "R")),
        ("sagittal", ("S", "A")),
    ]


def test_a_plane_keeps_the_voxels_proportions() -> None:
    shown = planes(np.zeros((3, 3, 3), dtype=bool), oriented((0, 1, 2), (1, 1, 1), (1.0, 2.0, 5.0)))
    assert {plane.name: plane.spacing for plane in shown} == {
        "sagittal": (5.0, 2.0),
        "coronal": (5.0, 1.0),
        "axial": (2.0, 1.0),
    }


def test_pixels_have_no_anatomy() -> None:
    shown = planes(np.zeros((3, 3, 3), dtype=bool), Geometry.pixels(3))
    assert [(plane.name, plane.flips, plane.edges) for plane in shown] == [
        (name, (False, False), ("", "")) for name in ("z", "y", "x")
    ]
