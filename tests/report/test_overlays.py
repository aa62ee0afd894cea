"""Overlays are as large as eyes need them, in their true proportions, and say which colour is which class."""

import numpy as np
import pytest

from ushape.core.labels import Labels
from ushape.io.colours import class_colours
from ushape.io.outputs import draw_overlay
from ushape.report.overlays import LARGEST, draw_large, fit_overlay

NAMED = Labels(names=("background", "liver", "kidney", "尾"), values=(0, 1, 2, 7))
COLOURS = class_colours(4)


def picture(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, rows, columns))


@pytest.mark.parametrize("size", [(256, 100), (300, 400)])
def test_what_is_large_enough_is_drawn_pixel_by_pixel(size: tuple[int, int]) -> None:
    image, label = picture(*size), np.zeros(size, np.int16)
    label[20:60, 10:50] = 1
    assert np.array_equal(draw_large(image, label, Labels()), draw_overlay(image, label, Labels()))


def test_small_pictures_are_enlarged_with_their_classes_sharp() -> None:
    label = np.zeros((35, 51), np.int16)
    label[10:20, 5:15] = 1
    drawn = draw_large(picture(35, 51), label, Labels())
    assert drawn.shape == (210, 306, 3)
    coloured = (drawn.max(axis=-1) != drawn.min(axis=-1)).nonzero()
    assert [(axis.min(), axis.max()) for axis in coloured] == [(60, 119), (30, 89)]
    outline = (drawn == COLOURS[1]).all(axis=-1)
    assert outline[60, 30:90].all()
    assert outline[60:120, 89].all()


def test_thick_slices_are_stretched_by_their_spacing() -> None:
    size = fit_overlay((24, 300), (4.0, 0.5))
    assert size == (192, 300)
    label = np.zeros((24, 300), np.int16)
    label[10:12] = 1
    drawn = draw_large(picture(24, 300), label, Labels(), (4.0, 0.5))
    rows = (drawn.max(axis=-1) != drawn.min(axis=-1)).any(axis=1).nonzero()[0]
    assert (rows.min(), rows.max()) == (80, 95)
    assert max(fit_overlay((400, 10), (100.0, 1.0))) == LARGEST


def test_a_key_names_the_classes_that_occur_if_there_are_several() -> None:
    label = np.zeros((256, 200), np.int16)
    label[50:90, 50:90], label[100:120, 50:90] = 1, 3
    drawn = draw_large(picture(256, 200), label, NAMED)
    key = drawn[256:]
    swatches = [bool((key == colour).all(axis=-1).any()) for colour in COLOURS[1:]]
    assert swatches == [True, False, True]
    assert draw_large(picture(256, 200), label * 0, NAMED).shape == (256, 200, 3)
    narrow = draw_large(picture(256, 60), label[:, 40:100], NAMED)
    assert len(narrow) - 256 == 2 * len(key)
