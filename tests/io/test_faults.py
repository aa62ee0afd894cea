"""Each planted fault is found, in the right file, with a remedy."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.core.errors import DataError
from ushape.io.facts import common_channels, describe_image
from ushape.io.faults import Fault, check_dataset
from ushape.io.images import read_image, read_mask
from ushape.io.synthetic import write_nuclei


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_nuclei(tmp_path, count=4, size=(64, 64))
    return tmp_path


def image(dataset: Path, number: int) -> Path:
    return dataset / "images" / f"nuclei_{number:03d}.png"


def mask(dataset: Path, number: int) -> Path:
    return dataset / "masks" / f"nuclei_{number:03d}.png"


def only_fault(dataset: Path) -> Fault:
    (fault,) = check_dataset(dataset)
    assert fault.remedy
    assert str(fault).startswith(f"{fault.file}: ")
    return fault


def rewrite(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


def test_a_clean_data_set_has_no_faults(dataset: Path) -> None:
    assert check_dataset(dataset) == []


def test_a_folder_that_is_no_data_set_is_one_error(tmp_path: Path) -> None:
    assert only_fault(tmp_path).what.startswith("expected one folder images/")


def test_a_data_set_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert only_fault(tmp_path).what.startswith("expected images")


def test_missing_and_surplus_masks_are_errors(dataset: Path) -> None:
    mask(dataset, 2).rename(dataset / "masks" / "stranger.png")
    found = {(fault.severity, fault.file.name, fault.what) for fault in check_dataset(dataset)}
    assert found == {
        ("error", "nuclei_002.png", "no mask for this image"),
        ("error", "stranger.png", "no image for this mask"),
    }


def test_an_image_without_mask_is_still_looked_at(dataset: Path) -> None:
    mask(dataset, 2).unlink()
    image(dataset, 2).write_bytes(b"")
    assert sorted(fault.what.split()[0] for fault in check_dataset(dataset)) == ["expected", "no"]


def test_doubled_stems_and_unknown_files_are_named(dataset: Path) -> None:
    with Image.open(image(dataset, 1)) as picture:
        picture.save(image(dataset, 1).with_suffix(".bmp"))
    (dataset / "images" / "notes.txt").touch()
    whats = [(fault.file.name, fault.what) for fault in check_dataset(dataset)]
    assert ("nuclei_001.bmp", "shares its stem with another file") in whats
    assert ("notes.txt", "not read, unknown kind") in whats


def test_different_sizes_are_an_error(dataset: Path) -> None:
    rewrite(mask(dataset, 1), np.full((64, 60), 255, np.uint8) * (np.arange(60) > 30).astype(np.uint8))
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("error", mask(dataset, 1))
    assert fault.what == "mask has size 64x60 but image has 64x64"


def test_a_mask_of_another_size_and_name_is_told_with_its_image(dataset: Path) -> None:
    rows = [f"images/{path.name},masks/{path.name}" for path in sorted((dataset / "images").iterdir())]
    rows[1] = f"images/{image(dataset, 1).name},masks/other.png"
    rewrite(dataset / "masks" / "other.png", np.eye(60, dtype=np.uint8) * 255)
    (dataset / "pairs.csv").write_text("\n".join(["image,mask", *rows]))
    assert only_fault(dataset).what == "mask has size 60x60 but image has 64x64 (image nuclei_001.png)"


def test_a_negative_value_is_told_with_its_file(dataset: Path) -> None:
    for number in range(4):
        values = read_mask(mask(dataset, number)).astype(np.int16)
        values[0, 0] = -1 if number == 2 else values[0, 0]
        tifffile.imwrite(mask(dataset, number).with_suffix(".tif"), values)
        mask(dataset, number).unlink()
    assert only_fault(dataset).what == "expected label values from 0, got -1 in nuclei_002.tif"


def test_a_jpeg_mask_is_an_error(dataset: Path) -> None:
    with Image.open(mask(dataset, 1)) as picture:
        picture.save(mask(dataset, 1).with_suffix(".jpg"))
    mask(dataset, 1).unlink()
    assert "JPEG" in only_fault(dataset).what


def test_a_mask_in_colours_is_an_error(dataset: Path) -> None:
    rewrite(mask(dataset, 1), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert "got colours" in only_fault(dataset).what


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"hello"])
@pytest.mark.parametrize("which", [image, mask])
def test_damaged_files_are_errors(dataset: Path, which: object, content: bytes) -> None:
    path = which(dataset, 1)  # type: ignore[operator]
    path.write_bytes(content)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file) == ("error", path)


def test_pixels_that_are_no_numbers_are_an_error(dataset: Path) -> None:
    image(dataset, 1).unlink()
    tifffile.imwrite(image(dataset, 1).with_suffix(".tif"), np.full((64, 64), np.nan, np.float32))
    assert "NaN" in only_fault(dataset).what


def test_a_constant_image_is_a_warning(dataset: Path) -> None:
    rewrite(image(dataset, 1), np.full((64, 64), 9, np.uint8))
    fault = only_fault(dataset)
    assert (fault.severity, fault.what) == ("warning", "every pixel is 9")


def test_a_gray_picture_in_three_channels_is_no_finding(dataset: Path) -> None:
    rewrite(image(dataset, 1), np.repeat(read_image(image(dataset, 1))[0][..., None], 3, axis=2))
    assert check_dataset(dataset) == []


def test_masks_of_one_value_are_warnings(dataset: Path) -> None:
    rewrite(mask(dataset, 1), np.zeros((64, 64), np.uint8))
    rewrite(mask(dataset, 2), np.full((64, 64), 255, np.uint8))
    faults = check_dataset(dataset)
    assert [fault.what for fault in faults] == ["no foreground", "every pixel is 255"]
    assert {fault.severity for fault in faults} == {"warning"}


def test_the_same_image_under_two_names_is_a_warning(dataset: Path) -> None:
    image(dataset, 3).write_bytes(image(dataset, 0).read_bytes())
    fault = only_fault(dataset)
    assert (fault.file, fault.what) == (image(dataset, 3), "the same pixels as nuclei_000.png")


def test_the_same_image_is_found_in_another_format(dataset: Path) -> None:
    pixels = read_image(image(dataset, 0))[0]
    rewrite(image(dataset, 3), np.dstack([pixels] * 3))
    assert "the same pixels" in only_fault(dataset).what


def test_a_copy_of_the_image_is_no_mask(dataset: Path) -> None:
    rewrite(image(dataset, 1), read_mask(mask(dataset, 1)))
    assert only_fault(dataset).what == "the mask is a copy of the image"


def test_colour_among_gray_is_a_warning_and_two_among_three_channels_an_error(dataset: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    rewrite(image(dataset, 1), colours)
    assert only_fault(dataset).what == "3 gray images and 1 of 3 channels (nuclei_001.png)"
    image(dataset, 2).unlink()
    tifffile.imwrite(image(dataset, 2).with_suffix(".ome.tif"), colours[:2, ...].repeat(32, 0).transpose(2, 0, 1)[:2])
    fault = only_fault(dataset)
    assert fault.severity == "error"
    assert "2 (nuclei_002.ome.tif) and 3 (nuclei_001.png)" in fault.what


def test_mixed_types_are_a_warning(dataset: Path) -> None:
    rewrite(image(dataset, 1), read_image(image(dataset, 1))[0].astype(np.uint16) * 257)
    assert only_fault(dataset).what == "1 of 4 images stored as uint16 (nuclei_001.png), uint8 is usual here"


def test_a_small_image_is_a_warning(dataset: Path) -> None:
    rewrite(image(dataset, 1), np.arange(144, dtype=np.uint8).reshape(12, 12))
    rewrite(mask(dataset, 1), np.eye(12, dtype=np.uint8) * np.uint8(255))
    assert only_fault(dataset).what == "only 12x12 pixels"


def test_a_turned_photo_is_a_warning(dataset: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(image(dataset, 1)) as picture:
        picture.load()
    picture.save(image(dataset, 1), exif=exif)
    assert "EXIF orientation 3" in only_fault(dataset).what


def test_a_value_in_one_mask_only_is_a_warning(dataset: Path) -> None:
    values = read_mask(mask(dataset, 1)).copy()
    values[0, 0] = 77
    rewrite(mask(dataset, 1), values)
    fault = only_fault(dataset)
    assert (fault.severity, fault.file, fault.what) == ("warning", mask(dataset, 1), "the only mask with value 77")


def test_a_lone_255_above_small_class_numbers_is_a_warning(dataset: Path) -> None:
    for number in (0, 1):
        found = read_mask(mask(dataset, number)) // np.uint8(255) * np.uint8(17)
        found[:3], found[-3:] = 255, 53
        rewrite(mask(dataset, number), found)
    told = [fault for fault in check_dataset(dataset) if fault.what.startswith("255, far above")]
    assert [fault.remedy for fault in told] == ["if it means 'ignore', train with --set data.labels.ignore=255"]


def test_masks_that_say_1_beside_masks_that_say_255_are_a_warning(dataset: Path) -> None:
    rewrite(mask(dataset, 1), read_mask(mask(dataset, 1)) // np.uint8(255))
    assert only_fault(dataset).what == "the foreground is 1 in nuclei_001.png but 255 elsewhere"


def test_instance_maps_are_a_warning_that_names_the_option(dataset: Path) -> None:
    rewrite(mask(dataset, 1), np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    fault = only_fault(dataset)
    assert fault.severity == "warning"
    assert "--foreground" in fault.remedy


def test_masks_without_any_foreground_are_an_error(dataset: Path) -> None:
    for number in range(4):
        rewrite(mask(dataset, number), np.zeros((64, 64), np.uint8))
    faults = check_dataset(dataset)
    assert [fault.severity for fault in faults] == ["error", *["warning"] * 4]
    assert faults[0].what.startswith("expected some foreground")


def test_grays_in_masks_are_an_error(dataset: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    ramp[8:, :32], ramp[8:, 32:] = 0, 255
    rewrite(mask(dataset, 1), ramp)
    fault = only_fault(dataset)
    assert fault.severity == "error"
    assert "threshold" in fault.remedy


def test_errors_come_before_warnings(dataset: Path) -> None:
    rewrite(image(dataset, 0), np.full((64, 64), 9, np.uint8))
    image(dataset, 3).write_bytes(b"")
    assert [fault.severity for fault in check_dataset(dataset)] == ["error", "warning"]


def test_gray_images_take_the_channels_of_the_colour_ones(dataset: Path) -> None:
    rewrite(image(dataset, 1), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    facts = {str(number): describe_image(image(dataset, number)) for number in range(3)}
    assert common_channels(facts) == 3
    assert common_channels({"0": facts["0"]}) == 1
    assert facts["0"].space == (64, 64)


def test_two_kinds_of_channels_cannot_be_made_one(dataset: Path) -> None:
    from dataclasses import replace

    fact = describe_image(image(dataset, 0))
    with pytest.raises(DataError, match="expected one number of channels"):
        common_channels({"a": replace(fact, channels=2), "b": replace(fact, channels=3)})


def test_the_real_data_sets_are_usable(data_root: Path) -> None:
    assert check_dataset(data_root / "isbi2012") == []
    assert {fault.severity for fault in check_dataset(data_root / "dsb2018")} == {"warning"}
