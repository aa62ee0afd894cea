"""Objects out of classes: what touches, and what narrows."""

import numpy as np
import pytest

from ushape.core.case import Geometry
from ushape.predict.instances import InstanceConfig, split_objects

TOUCHING, SPLIT = InstanceConfig(), InstanceConfig(method="watershed")


Points = list[tuple[float, ...]]


def balls(space: tuple[int, ...], centres: Points, radius: float, steps: tuple[float, ...]) -> np.ndarray:
    places = np.moveaxis(np.indices(space).astype(float), 0, -1) * steps
    away = [((places - np.multiply(centre, steps)) ** 2).sum(axis=-1) for centre in centres]
    return np.min(away, axis=0) <= radius**2


def in_mm(*spacing: float) -> Geometry:
    return Geometry.from_affine(np.diag([*spacing, 1.0]))


@pytest.mark.parametrize(
    ("space", "centres", "steps"),
    [((40, 60), [(20, 20), (20, 37)], (1.0, 1.0)), ((24, 24, 40), [(12, 12, 12), (12, 12, 27)], (1.0, 1.0, 1.0))],
)
def test_balls_that_touch_are_one_component_and_two_objects_by_shape(
    space: tuple[int, ...], centres: Points, steps: tuple[float, ...]
) -> None:
    label = balls(space, centres, 9.0, steps).astype(np.int16)
    assert split_objects(label, in_mm(*steps), TOUCHING).max() == 1
    objects = split_objects(label, in_mm(*steps), SPLIT)
    np.testing.assert_array_equal(objects > 0, label > 0)
    assert objects.max() == 2
    first, second = (objects[tuple(map(int, centre))] for centre in centres)
    assert {first, second} == {1, 2}
    sizes = np.bincount(objects.ravel())[1:]
    assert abs(int(sizes[0]) - int(sizes[1])) < 0.05 * sizes.sum()


def test_shape_is_that_of_the_world_not_of_the_array() -> None:
    """A ball in voxels three times as long as wide is no sausage of two."""
    steps = (3.0, 1.0)
    label = balls((14, 40), [(7, 20)], 15.0, steps).astype(np.int16)
    assert split_objects(label, in_mm(*steps), SPLIT).max() == 1


def test_a_ragged_border_makes_no_objects() -> None:
    label = balls((60, 60), [(30, 30)], 20.0, (1.0, 1.0))
    label ^= (np.random.default_rng(0).random(label.shape) < 0.3) & (balls((60, 60), [(30, 30)], 21.0, (1, 1)) ^ label)
    assert split_objects(label.astype(np.int16), Geometry.pixels(2), SPLIT).max() == 1


@pytest.mark.parametrize("config", [TOUCHING, SPLIT])
def test_numbers_run_on_from_class_to_class_and_no_object_has_two(config: InstanceConfig) -> None:
    label = np.zeros((20, 40), dtype=np.int16)
    label[2:8, 2:8] = label[12:18, 2:8] = 1
    label[2:8, 8:14] = 3  # touches an object of class 1
    objects = split_objects(label, Geometry.pixels(2), config)
    assert objects.dtype == np.uint32
    assert sorted(np.unique(objects)) == [0, 1, 2, 3]
    assert all(len(np.unique(label[objects == number])) == 1 for number in (1, 2, 3))
    assert objects[3, 10] == 3


@pytest.mark.parametrize("config", [TOUCHING, SPLIT])
def test_nothing_and_everything_are_no_objects_and_one(config: InstanceConfig) -> None:
    assert split_objects(np.zeros((8, 9), dtype=np.int16), Geometry.pixels(2), config).max() == 0
    assert (split_objects(np.ones((8, 9), dtype=np.int16), Geometry.pixels(2), config) == 1).all()
