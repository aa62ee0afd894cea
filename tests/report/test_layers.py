"""Laws of the pictures' pixels."""

from __future__ import annotations

import base64
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.color import rgb2lab

from ushape.report.layers import (
    AGREEMENT_COLOURS,
    CLASS_COLOURS,
    OPACITY,
    Agreement,
    class_colour,
    compare_labels,
    draw_agreement,
    draw_contours,
    encode_layer,
    encode_photo,
    find_contours,
    fit_size,
    resample_nearest,
    window_grey,
)

labels = arrays(np.int16, (9, 11), elements=st.integers(-1, 3))

# Machado et al. 2009, doi:10.1109/TVCG.2009.113, severity 1.0, on linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def read_picture(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def rgba(colour: str, opacity: float) -> list[int]:
    return [*bytes.fromhex(colour[1:]), round(255 * opacity)]


def seen(colour: str, eye: str) -> np.ndarray:
    """Return the colour in CIELAB as an eye sees it."""
    encoded = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = (np.asarray(EYES[eye]) @ linear).clip(0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(back[None, None])[0, 0])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(
    "palette", [CLASS_COLOURS, [AGREEMENT_COLOURS[code] for code in list(Agreement)[1:5]]], ids=["classes", "agreement"]
)
def test_colours_stay_apart_for_colour_blind_eyes(palette: list[str], eye: str) -> None:
    distances = [np.linalg.norm(seen(a, eye) - seen(b, eye)) for a, b in itertools.combinations(palette, 2)]
    assert min(distances) > 25


@given(labels.map(abs))
def test_a_label_compared_with_itself_has_no_fault(label: np.ndarray) -> None:
    assert set(np.unique(compare_labels(label, label))) <= {Agreement.BACKGROUND, Agreement.HIT}


@given(labels, labels.map(abs))
def test_agreement_counts_make_up_both_masks(label: np.ndarray, prediction: np.ndarray) -> None:
    codes = compare_labels(label, prediction)
    both = (codes == Agreement.HIT) | (codes == Agreement.OTHER)
    counted = label >= 0
    assert np.array_equal(both | (codes == Agreement.MISSED), label > 0)
    assert np.array_equal(both | (codes == Agreement.EXTRA), (prediction > 0) & counted)
    assert np.array_equal(codes == Agreement.IGNORED, ~counted)


@given(labels)
def test_contours_lie_inside_the_foreground(label: np.ndarray) -> None:
    assert not (find_contours(label) & (label <= 0)).any()


def test_a_contour_is_the_rim_of_a_square_and_not_the_pictures_border() -> None:
    label = np.zeros((12, 12), np.uint8)
    label[2:10, 2:12] = 1
    rim = find_contours(label, width=2)
    assert not rim[4:8, 4:].any()
    assert rim[2:4, 2:].all()
    assert rim[2:10, 2:4].all()


def test_touching_classes_are_parted_by_their_contours() -> None:
    label = np.repeat([[1, 1, 1, 2, 2, 2]], 3, axis=0)
    assert find_contours(label, width=1)[1].tolist() == [False, False, True, True, False, False]


def test_the_pixels_of_an_agreement_have_its_colours() -> None:
    label, prediction = np.zeros((2, 40, 40), np.int16)
    label[5:35, 5:20] = 1
    prediction[5:35, 12:30] = 1
    label[38:, :] = -1
    drawn = read_picture(encode_layer(draw_agreement(label, prediction)))
    assert drawn[20, 8].tolist() == rgba(AGREEMENT_COLOURS[Agreement.MISSED], OPACITY[Agreement.MISSED])
    assert drawn[20, 16].tolist() == rgba(AGREEMENT_COLOURS[Agreement.HIT], OPACITY[Agreement.HIT])
    assert drawn[20, 25].tolist() == rgba(AGREEMENT_COLOURS[Agreement.EXTRA], OPACITY[Agreement.EXTRA])
    assert drawn[39, 2].tolist() == rgba(AGREEMENT_COLOURS[Agreement.IGNORED], OPACITY[Agreement.IGNORED])
    assert drawn[20, 12].tolist() == rgba(AGREEMENT_COLOURS[Agreement.HIT], 1.0), "outline in the truth"
    assert drawn[20, 29].tolist() == rgba(AGREEMENT_COLOURS[Agreement.EXTRA], 1.0), "outline outside the truth"
    assert drawn[2, 2, 3] == 0, "the background is clear"


def test_another_class_at_the_right_place_has_its_own_colour() -> None:
    label, prediction = np.full((9, 9), 1), np.full((9, 9), 2)
    assert draw_agreement(label, prediction)[4, 4].tolist() == rgba(AGREEMENT_COLOURS[Agreement.OTHER], 0.72)


def test_contours_have_their_classes_colours_and_the_rest_is_clear() -> None:
    label = np.zeros((20, 40), np.int16)
    label[4:16, 4:16], label[4:16, 24:36] = 1, 2
    drawn = read_picture(encode_layer(draw_contours(label)))
    assert drawn[4, 8].tolist() == rgba(class_colour(1), 1.0)
    assert drawn[4, 30].tolist() == rgba(class_colour(2), 1.0)
    assert drawn[10, 10, 3] == drawn[0, 0, 3] == 0


def test_more_classes_than_colours_begin_the_palette_again() -> None:
    label = np.zeros((9, 9), np.int16)
    label[3:6, 3:6] = len(CLASS_COLOURS) + 1
    assert draw_contours(label)[3, 3].tolist() == rgba(CLASS_COLOURS[0], 1.0)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "float16", "float32", "float64"])
def test_images_of_any_type_become_black_to_white(dtype: str) -> None:
    image = np.linspace(0, 100, 64).reshape(1, 8, 8).astype(dtype)
    grey = window_grey(image, None)
    assert grey.shape == (8, 8)
    assert (grey.min(), grey.max()) == (0, 255)


def test_holes_and_constant_images_are_drawn_without_complaint() -> None:
    image = np.full((1, 4, 4), np.nan)
    assert not window_grey(image, None).any()
    assert not window_grey(np.full((1, 4, 4), 7), None).any()


def test_a_window_sets_black_and_white() -> None:
    image = np.array([[[-1000.0, -100.0, 50.0, 200.0, 3000.0]]])
    assert window_grey(image, (-100.0, 200.0)).tolist() == [[0, 0, 128, 255, 255]]


def test_three_channels_are_colours_unless_they_are_alike() -> None:
    colours = np.zeros((3, 4, 4), np.uint8)
    colours[0], colours[2] = 200, 100
    assert window_grey(colours, None)[0, 0].tolist() == [255, 0, 128]
    assert window_grey(np.repeat(colours[:1], 3, axis=0), None).ndim == 2
    assert window_grey(np.zeros((5, 4, 4)), None).ndim == 2


def test_a_picture_is_made_smaller_but_never_larger() -> None:
    large, small = np.zeros((900, 600), np.uint8), np.zeros((30, 20), np.uint8)
    assert read_picture(encode_photo(large, fit_size(900.0, 600.0))).shape[:2] == (480, 320)
    assert read_picture(encode_photo(small, fit_size(30.0, 20.0))).shape[:2] == (30, 20)


def test_labels_are_enlarged_voxel_by_voxel() -> None:
    label = np.array([[0, 1], [2, 3]], np.int16)
    assert np.array_equal(resample_nearest(label, (6, 4)), label.repeat(3, axis=0).repeat(2, axis=1))
