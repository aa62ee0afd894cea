"""Pairs are found by name, and every stray file is named."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import Labels
from ushape.io.folders import match_folders
from ushape.io.layouts import (
    Pair,
    find_dataset,
    find_images,
    find_inputs,
    find_pairs,
    fit_channels,
    load_case,
    pair_folders,
)

BINARY = Labels(values=(0, 255))


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def gray(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("folders", [("images", "masks"), ("images", "labels"), ("Images", "Masks"), ("imgs", "label")])
def test_pairs_are_found_by_stem_in_natural_order(tmp_path: Path, folders: tuple[str, str]) -> None:
    touch(tmp_path / folders[0], "c10.png", "c2.png", "c1.jpg", ".DS_Store")
    touch(tmp_path / folders[1], "c1.png", "c2.tif", "c10.png")
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["c1", "c2", "c10"]
    assert pairs[1].mask == tmp_path / folders[1] / "c2.tif"


def test_a_mask_may_carry_a_suffix_but_the_plain_stem_goes_first(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png", "a_mask.png", "b.png")
    touch(tmp_path / "masks", "a_mask.png", "a.png", "b_seg.png")
    masks = {pair.name: pair.mask.name for pair in find_pairs(tmp_path) if pair.mask}
    assert masks == {"a": "a.png", "a_mask": "a_mask.png", "b": "b_seg.png"}


def test_missing_and_surplus_masks_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "images", *(f"{i}.png" for i in range(12)))
    touch(tmp_path / "masks", "0.png")
    with pytest.raises(DataError, match=r"for 1\.png, .*8\.png and 3 more; add the masks, or remove the images"):
        find_pairs(tmp_path)
    touch(tmp_path / "masks", *(f"{i}.png" for i in range(13)))
    with pytest.raises(DataError, match=r"for 12\.png; add the images, or remove the masks"):
        find_pairs(tmp_path)


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png", "a.tif")
    touch(tmp_path / "masks", "a.png")
    with pytest.raises(DataError, match=r"got two files of one stem for a\.png, a\.tif"):
        find_pairs(tmp_path)
    with pytest.raises(DataError, match="two files of one stem"):
        find_images(tmp_path)


def test_folders_that_are_missing_doubled_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder with images/ and masks/"):
        find_pairs(tmp_path / "nowhere")
    touch(tmp_path / "pictures")
    with pytest.raises(DataError, match=r"expected one folder images/, got none \(folders: pictures\)"):
        find_pairs(tmp_path)
    touch(tmp_path / "images", "notes.txt")
    touch(tmp_path / "masks")
    with pytest.raises(DataError, match=r"expected images .* got only notes\.txt"):
        find_pairs(tmp_path)
    touch(tmp_path / "labels")
    with pytest.raises(DataError, match=r"got several \(labels, masks\)"):
        find_pairs(tmp_path)


def test_files_of_unknown_kind_are_reported_not_matched(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png", "b.czi")
    touch(tmp_path / "masks", "a.png")
    assert [path.name for path in match_folders(tmp_path / "images", tmp_path / "masks").unknown] == ["b.czi"]


def test_predictions_pair_with_truth(tmp_path: Path) -> None:
    touch(tmp_path / "out", "a.png")
    touch(tmp_path / "truth", "a_label.tif")
    assert pair_folders(tmp_path / "out", tmp_path / "truth")[0].mask == tmp_path / "truth" / "a_label.tif"


def test_images_to_predict_come_from_a_file_a_folder_or_its_images_folder(tmp_path: Path) -> None:
    touch(tmp_path / "flat", "b10.png", "b9.png", "notes.txt")
    touch(tmp_path / "set" / "images", "a.png")
    touch(tmp_path / "empty")
    assert [path.name for path in find_images(tmp_path / "flat")] == ["b9.png", "b10.png"]
    assert find_images(tmp_path / "set") == [tmp_path / "set" / "images" / "a.png"]
    assert find_images(tmp_path / "flat" / "b9.png") == [tmp_path / "flat" / "b9.png"]
    for wrong, got in (("empty", "got none"), ("nowhere", "got nothing"), ("flat/notes.txt", "another kind of file")):
        with pytest.raises(DataError, match=got):
            find_images(tmp_path / wrong)


def test_a_case_holds_the_stored_image_and_class_indices(tmp_path: Path) -> None:
    values = np.arange(20, dtype=np.uint8).reshape(4, 5)
    pair = Pair(
        "a", gray(tmp_path / "i" / "a.png", values), gray(tmp_path / "m" / "a.png", (values > 9) * np.uint8(255))
    )
    case = load_case(pair, BINARY)
    assert case.label is not None
    assert np.array_equal(case.image[0], values)
    assert np.array_equal(case.label, values > 9)
    assert case.geometry == Geometry.pixels(2)
    assert (case.name, case.source) == ("a", str(tmp_path / "i" / "a.png"))
    assert load_case(pair).label is None


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    pair = Pair(
        "a", gray(tmp_path / "a.png", np.zeros((4, 5), np.uint8)), gray(tmp_path / "m.png", np.zeros((5, 4), np.uint8))
    )
    with pytest.raises(ShapeError, match=r"a: mask has size 5x4 but image has 4x5; .*: export m\.png again"):
        load_case(pair, BINARY)


def test_a_size_that_differs_by_an_exif_turn_says_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    pair = Pair("a", tmp_path / "a.jpg", gray(tmp_path / "m.png", np.zeros((4, 5), np.uint8)))
    with pytest.raises(ShapeError, match="turned by its EXIF tag"):
        load_case(pair, BINARY)


def test_a_mask_with_unknown_values_is_refused_by_its_file(tmp_path: Path) -> None:
    path = gray(tmp_path / "m.png", np.full((4, 5), 7, np.uint8))
    with pytest.raises(DataError, match=r"m\.png: expected label values \[0, 255\], got also 7"):
        load_case(Pair("a", path, path), BINARY)


def test_a_volume_and_its_mask_become_a_case(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 8 * 9, dtype=np.uint16).reshape(3, 2, 8, 9)
    tifffile.imwrite(tmp_path / "v.tif", values, photometric="minisblack")
    tifffile.imwrite(tmp_path / "m.tif", (values[:, 0] % 2).astype(np.uint8), photometric="minisblack")
    pair = Pair("v", tmp_path / "v.tif", tmp_path / "m.tif")
    case = load_case(pair, Labels(values=(0, 1)), axes="zcyx")
    assert (case.channels, case.space) == (2, (3, 8, 9))


def test_channels_are_repeated_or_reduced_but_never_mixed() -> None:
    one, colour = np.ones((1, 4, 5)), np.arange(60.0).reshape(3, 4, 5)
    assert np.array_equal(fit_channels(fit_channels(one, 3, "a"), 1, "a"), one)
    with pytest.raises(DataError, match="a: expected a gray image, got one in colours; convert it to gray"):
        fit_channels(colour, 1, "a")
    with pytest.raises(DataError, match="expected 1 channel, got 2 different ones; convert the image, or leave it out"):
        fit_channels(colour[:2], 1, "a")
    with pytest.raises(DataError, match="expected 3 channels, got 2"):
        fit_channels(colour[:2], 3, "a")


def test_a_case_is_brought_to_the_channels_of_its_data_set(tmp_path: Path) -> None:
    pair = Pair("a", gray(tmp_path / "a.png", np.zeros((4, 5), np.uint8)))
    assert load_case(pair, channels=3).channels == 3


@pytest.mark.parametrize(("name", "count"), [("isbi2012", 24), ("dsb2018", 440)])
def test_the_real_data_sets_are_found_whole(data_root: Path, name: str, count: int) -> None:
    assert len(find_pairs(data_root / name)) == count


CHANNELS = ("a_0000.png", "a_0001.png", "b_0000.png", "b_0001.png")


def test_numbered_files_are_channels_if_masks_bear_the_stem_alone(tmp_path: Path) -> None:
    touch(tmp_path / "images", *CHANNELS)
    touch(tmp_path / "masks", "a.png", "b_mask.png")
    assert [(pair.name, [path.name for path in pair.images]) for pair in find_pairs(tmp_path)] == [
        ("a", ["a_0000.png", "a_0001.png"]),
        ("b", ["b_0000.png", "b_0001.png"]),
    ]


def test_numbered_files_are_cases_if_masks_bear_the_numbers_too(tmp_path: Path) -> None:
    touch(tmp_path / "images", *CHANNELS)
    touch(tmp_path / "masks", *CHANNELS)
    assert [pair.name for pair in find_pairs(tmp_path)] == ["a_0000", "a_0001", "b_0000", "b_0001"]


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "images", *CHANNELS[:3])
    touch(tmp_path / "masks", "a.png", "b.png")
    with pytest.raises(DataError, match=r"expected the same channels of each case, got fewer for b_0000\.png"):
        find_pairs(tmp_path)


def test_channels_to_predict_are_put_together_as_the_model_expects(tmp_path: Path) -> None:
    touch(tmp_path / "x", *CHANNELS)
    assert [pair.name for pair in find_inputs(tmp_path / "x", channels=2)] == ["a", "b"]
    assert [pair.name for pair in find_inputs(tmp_path / "x")] == ["a_0000", "a_0001", "b_0000", "b_0001"]
    touch(tmp_path / "one", "a_0000.png", "b_0000.png")
    assert [(pair.name, pair.channels) for pair in find_inputs(tmp_path / "one")] == [("a", ()), ("b", ())]
    (tmp_path / "x" / "b_0001.png").unlink()
    with pytest.raises(DataError, match=r"expected 2 channels of each case, got fewer for b_0000\.png"):
        find_inputs(tmp_path / "x", channels=2)


def test_one_folder_per_class_makes_masks_that_may_overlap(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png", "b.png")
    for name in ("vessel", "cell10", "cell2"):
        touch(tmp_path / "masks" / name, "a.png", "b_mask.png")
    touch(tmp_path / "masks" / "empty")
    found = find_dataset(tmp_path)
    assert found.labels is not None
    assert found.labels.names == ("background", "cell2", "cell10", "vessel")
    assert str(found) == "images/ and masks/CLASS/: 2 cases, classes background, cell2, cell10, vessel"
    assert [path.parent.name for path in found.pairs[1].class_masks] == ["cell2", "cell10", "vessel"]
    assert (found.pairs[1].mask, found.pairs[1].masks[0].name) == (None, "b_mask.png")


def test_an_image_needs_a_mask_of_each_class(tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.png", "b.png")
    touch(tmp_path / "masks" / "cell", "a.png", "b.png")
    touch(tmp_path / "masks" / "vessel", "a.png")
    with pytest.raises(DataError, match=r"expected a mask for each image, got none for b\.png"):
        find_dataset(tmp_path)


def test_volumes_with_double_endings_pair_by_stem(tmp_path: Path) -> None:
    touch(tmp_path / "imagesTr", "a.b.nii.gz", "c.nrrd", "d.mhd", "d.zraw")
    touch(tmp_path / "labelsTr", "a.b_seg.nii", "c.nii.gz", "d.mha", "._c.nii.gz")
    assert [pair.name for pair in find_pairs(tmp_path)] == ["a.b", "c", "d"]
    assert match_folders(tmp_path / "imagesTr", tmp_path / "labelsTr").unknown == ()
