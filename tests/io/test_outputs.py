"""What is written can be read again, and looks as it should."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ushape.core.errors import DataError, OutputError
from ushape.core.labels import Labels
from ushape.io.colours import class_colours
from ushape.io.images import read_image, read_mask
from ushape.io.outputs import (
    draw_overlay,
    is_outline,
    mask_name,
    probabilities_name,
    to_rgb,
    write_mask,
    write_picture,
    write_probabilities,
)

SIZES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)


@given(raw=st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: hnp.arrays(dtype, SIZES)))
@pytest.mark.parametrize("ending", [".png", ".tif", ".ome.tif"])
def test_a_mask_comes_back_value_by_value(
    raw: np.ndarray, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"mask{ending}"
    write_mask(path, raw)
    assert np.array_equal(read_mask(path), raw)


@given(values=st.lists(st.integers(1, 255), min_size=2, unique=True), shape=SIZES, seed=st.integers(0, 99))
def test_a_palette_mask_keeps_its_values_and_shows_the_class_colours(
    values: list[int], shape: tuple[int, int], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = [0, *sorted(values)]
    raw = np.random.default_rng(seed).choice(values, shape).astype(np.uint8)
    path = tmp_path_factory.getbasetemp() / "palette.png"
    labels = Labels(names=tuple(map(str, values)), values=tuple(values))
    if seed % 2:
        own = np.random.default_rng(seed).integers(0, 256, (len(values), 3))
        labels = labels.model_copy(update={"colours": tuple("#" + bytes(one.tolist()).hex() for one in own)})
    write_mask(path, raw, labels=labels)
    palette = own if seed % 2 else class_colours(len(values))
    colours = palette[np.searchsorted(values, raw)]
    assert np.array_equal(read_mask(path), raw)
    assert np.array_equal(read_image(path), np.moveaxis(colours, -1, 0))


def test_two_classes_are_plain_gray_and_three_a_palette(tmp_path: Path) -> None:
    raw = np.array([[0, 255]])
    write_mask(tmp_path / "two.png", raw, labels=Labels())
    write_mask(tmp_path / "three.png", raw, labels=Labels(names=("a", "b", "c"), values=(0, 100, 255)))
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "three.png") as three:
        assert (two.mode, three.mode) == ("L", "P")


def test_a_volume_of_labels_keeps_its_axes(tmp_path: Path) -> None:
    raw = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    write_mask(tmp_path / "v.tif", raw)
    assert np.array_equal(read_mask(tmp_path / "v.tif"), raw)


@pytest.mark.parametrize("values", [[-1, 3], [0, 70000]])
def test_labels_that_a_png_cannot_hold_are_refused(tmp_path: Path, values: list[int]) -> None:
    with pytest.raises(DataError, match=r"expected label values 0\.\.65535, got"):
        write_mask(tmp_path / "m.png", np.array([values]))
    assert not list(tmp_path.iterdir())


def test_a_mask_is_never_written_as_jpeg(tmp_path: Path) -> None:
    assert [mask_name(Path(name)) for name in ("a.jpg", "a.b.bmp", "a.TIF")] == ["a.png", "a.b.png", "a.tif"]
    with pytest.raises(DataError, match=r"expected one of \.png"):
        write_mask(tmp_path / "m.jpg", np.zeros((2, 2), int))


def test_results_are_named_by_their_case_and_bear_the_format_of_its_image() -> None:
    assert mask_name(Path("a_0000.nii.gz"), "a") == "a.nii.gz"
    assert mask_name(Path("series_folder")) == "series_folder.nii.gz"
    names = ("a.png", "a.ome.tif", "a.mhd", "a.zip")
    assert [probabilities_name(Path(name)) for name in names] == ["a.tif", "a.tif", "a.mha", "a.nii.gz"]


def test_probabilities_come_back_as_float16_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 5, 7)).astype(np.float16)
    write_probabilities(tmp_path / "p.tif", values)
    assert np.array_equal(read_image(tmp_path / "p.tif"), values)
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        assert file.series[0].axes == "CYX"
    with pytest.raises(DataError, match="ending in"):
        write_probabilities(tmp_path / "p.png", values)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another place"):
        write_mask(tmp_path / "file" / "m.png", np.zeros((2, 2), int))


def test_an_overlay_tints_the_inside_and_draws_the_outline(tmp_path: Path) -> None:
    image = np.tile(np.arange(20, dtype=np.uint16) * 1000, (20, 1))[None]
    label = np.zeros((20, 20), np.int16)
    label[5:15, 5:15] = 1
    drawn = draw_overlay(image, label)
    shown = to_rgb(image)
    assert np.array_equal(drawn[label == 0], shown[label == 0])
    assert np.array_equal(drawn[5, 5], class_colours(2)[1])
    assert drawn[10, 10, 0] > shown[10, 10, 0] > drawn[10, 10, 2]
    write_picture(tmp_path / "o.png", drawn)
    assert np.array_equal(read_image(tmp_path / "o.png"), np.moveaxis(drawn, -1, 0))
    assert draw_overlay(image, label, Labels(colours=("#000000", "#0102ff")))[5, 5].tolist() == [1, 2, 255]


def test_ignored_pixels_are_left_untinted() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert np.array_equal(draw_overlay(image, np.full((8, 8), -1)), to_rgb(image))


@given(
    image=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32]),
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
        elements=st.integers(0, 255),
    )
)
def test_any_image_can_be_shown(image: np.ndarray) -> None:
    assert to_rgb(image).shape == (*image.shape[1:], 3)


def test_a_constant_image_is_shown_gray_and_a_lone_bright_pixel_white() -> None:
    assert (to_rgb(np.full((1, 4, 4), 7.0)) == 128).all()
    lone = np.zeros((1, 40, 40))
    lone[0, 3, 3] = 5
    assert to_rgb(lone)[3, 3].tolist() == [255, 255, 255]


@given(label=hnp.arrays(np.uint8, SIZES, elements=st.integers(0, 2)))
def test_outlines_lie_inside_the_foreground(label: np.ndarray) -> None:
    assert not (is_outline(label) & (label == 0)).any()


def test_class_colours_are_distinct_and_begin_with_black() -> None:
    colours = class_colours(20)
    assert len({tuple(colour) for colour in colours.tolist()}) == 20
    assert class_colours(1).tolist() == [[0, 0, 0]]
    assert class_colours(0).shape == (0, 3)


def test_a_picture_is_written_as_it_is(tmp_path: Path) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    write_picture(tmp_path / "p.png", pixels)
    assert np.array_equal(read_image(tmp_path / "p.png")[0], pixels)
