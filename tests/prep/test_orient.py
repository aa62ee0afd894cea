"""Reorientation brings every volume into one orientation, moves no voxel in the world, and is undone exactly."""

import numpy as np
import pytest
from hypothesis import given
from tests.prep.grids import LAW, ORIENTATIONS, Plan, oriented, places, plans

from ushape.core.case import Case, Geometry
from ushape.prep.orient import WORLD_AXES, Reorient, find_turn
from ushape.prep.undo import Undo

VOLUMES = plans(3)
CANONICAL = ((2, 1, 0), (1, 1, 1))


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.4)], ids=["straight", "oblique"])
def test_every_orientation_becomes_superior_anterior_right(orientation: tuple, angles: tuple) -> None:
    geometry = oriented(orientation, angles=angles)
    case = Case("case", np.arange(24).reshape(1, 2, 3, 4), geometry)
    turned, undo = Reorient("canonical").forward(case)
    cosines = np.asarray(turned.geometry.direction)[range(3), WORLD_AXES]
    assert (cosines > np.cos(0.3 + 0.2 + 0.4)).all()
    assert np.array_equal(undo.probabilities(np.asarray(turned.image)), case.image)


@LAW
@given(VOLUMES)
def test_no_voxel_moves_in_the_world(plan: Plan) -> None:
    case = plan.case()
    turned, undo = Reorient("canonical").forward(case)
    before, after = places(case), places(turned)
    assert before.keys() == after.keys()
    assert all(np.allclose(before[number], after[number], atol=1e-9) for number in before)
    assert isinstance(undo, Undo)


@LAW
@given(VOLUMES)
def test_the_way_back_is_exact(plan: Plan) -> None:
    case = plan.case()
    turned, undo = Reorient("canonical").forward(case)
    assert case.label is not None
    assert turned.label is not None
    assert np.array_equal(undo.label(turned.label), case.label)
    assert np.array_equal(undo.probabilities(np.asarray(turned.image)), case.image)


@LAW
@given(VOLUMES)
def test_a_canonical_case_is_left_alone(plan: Plan) -> None:
    case = plan.case()
    turned, _ = Reorient("canonical").forward(case)
    again, _ = Reorient("canonical").forward(turned)
    assert again is turned


@LAW
@given(plans(2))
def test_flat_images_have_no_anatomy(plan: Plan) -> None:
    case = plan.case()
    assert Reorient("canonical").forward(case)[0] is case


def test_volumes_in_pixels_have_no_anatomy() -> None:
    case = Case("case", np.zeros((1, 2, 3, 4)), Geometry.pixels(3))
    assert Reorient("canonical").forward(case)[0] is case


def test_none_turns_nothing() -> None:
    case = Case("case", np.zeros((1, 2, 3, 4)), oriented(ORIENTATIONS[5]))
    assert Reorient("none").forward(case)[0] is case


def test_sheared_axes_have_a_nearest_orientation_too() -> None:
    sheared = Geometry((1.0, 1.0, 1.0), "mm", (0.0, 0.0, 0.0), ((0.0, 0.6, 0.8), (0.0, 0.8, 0.6), (-1.0, 0.0, 0.0)))
    turn = find_turn(sheared)
    assert (turn.axes, turn.flips) == ((0, 1, 2), (False, False, True))


def test_no_direction_holds_a_negative_zero() -> None:
    case = Case("case", np.zeros((1, 2, 3, 4)), oriented(((2, 1, 0), (-1, -1, -1))))
    turned, _ = Reorient("canonical").forward(case)
    assert str(turned.geometry.direction) == str(oriented(CANONICAL).direction)
