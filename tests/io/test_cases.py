"""Channels come together, and a label lies on its image's grid, is brought there, or is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.io.volumes import SEEDS, random_affine, save_nifti, volume

from ushape.core.case import Geometry
from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import Labels
from ushape.io.cases import GridMismatch, fit_channels, load_case, read_pair
from ushape.io.outputs import write_class_masks, write_picture
from ushape.io.pairs import Pair, class_file_labels

LABELS = Labels(values=(0, 1))
MASK = (volume() > 50).astype(np.uint8)


def pair_of(folder: Path, image_affine: np.ndarray, mask_affine: np.ndarray, mask: np.ndarray = MASK) -> Pair:
    image = save_nifti(folder / "image.nii", volume(), image_affine)
    return Pair("case", image, save_nifti(folder / "mask.nii", mask, mask_affine))


def moved(affine: np.ndarray, *shift: float) -> np.ndarray:
    out = affine.copy()
    out[:3, 3] += shift
    return out


def test_a_case_of_volumes_knows_where_it_lies(tmp_path: Path) -> None:
    affine = random_affine(1)
    case = load_case(pair_of(tmp_path, affine, affine), LABELS)
    assert case.label is not None
    assert np.array_equal(case.image[0], volume())
    assert np.array_equal(case.label, MASK)
    assert np.allclose(case.geometry.affine[:, [2, 1, 0, 3]], affine, atol=1e-5)
    assert case.source == str(tmp_path / "image.nii")


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_rounding_in_headers_is_no_other_grid(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    affine = random_affine(seed)
    noise = 1 + 1e-4 * np.random.default_rng(seed).normal(size=(4, 4))
    noise[:3, 3] = 1
    case = load_case(pair_of(tmp_path_factory.mktemp("noise"), affine, affine * noise), LABELS)
    assert case.label is not None


def test_a_label_elsewhere_is_refused_with_both_grids(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, np.diag([2.0, 2, 2, 1]), moved(np.diag([2.0, 2, 2, 1]), 0, 3, 0))
    with pytest.raises(
        GridMismatch, match=r"mask\.nii: .*, got another \(begins 3 mm away, 1\.5 voxels off\); export"
    ) as caught:
        load_case(pair, LABELS)
    assert caught.value.shift == pytest.approx(1.5)
    assert np.subtract(caught.value.mask.origin, caught.value.image.origin).tolist() == [0, 3, 0]


def test_a_label_elsewhere_is_brought_by_what_is_handed_in(tmp_path: Path) -> None:
    small = MASK[:2, :3]
    pair = pair_of(tmp_path, np.eye(4), np.diag([2.0, 2, 2, 1]), small)
    seen = {}

    def regrid(label: np.ndarray, own: Geometry, image: Geometry, space: tuple[int, ...]) -> np.ndarray:
        seen.update(label=label, own=own.spacing, image=image.spacing)
        return np.zeros(space, label.dtype)

    case = load_case(pair, LABELS, regrid=regrid)
    assert case.label is not None
    assert case.label.shape == (3, 4, 5)
    assert np.array_equal(seen["label"], small)
    assert (seen["own"], seen["image"]) == ((2.0, 2.0, 2.0), (1.0, 1.0, 1.0))
    with pytest.raises(
        GridMismatch, match=r"expected the grid of its image, got another \(2x3x5 of 2x2x2 mm on 3x4x5 of 1x1x1 mm\)"
    ):
        load_case(pair, LABELS)


def test_grids_that_do_not_say_where_they_lie_must_have_one_size(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    write_picture(image, volume(dtype="uint8")[0])
    write_picture(tmp_path / "m.png", MASK[0, :3])
    with pytest.raises(ShapeError, match=r"mask has size 3x5 but image has 4x5"):
        load_case(Pair("a", image, tmp_path / "m.png"), LABELS, regrid=lambda label, *_: label)


def test_files_of_single_channels_become_one_image(tmp_path: Path) -> None:
    files = tuple(save_nifti(tmp_path / f"c{i}.nii.gz", volume(i), random_affine(1)) for i in range(3))
    case = load_case(Pair("c", files[0], channels=files))
    assert np.array_equal(case.image, np.stack([volume(i) for i in range(3)]))
    assert case.image.dtype == np.int16


def test_channels_on_different_grids_or_with_channels_of_their_own_are_refused(tmp_path: Path) -> None:
    first = save_nifti(tmp_path / "a.nii", volume())
    shifted = save_nifti(tmp_path / "b.nii", volume(), moved(np.eye(4), 0, 0, 1))
    several = save_nifti(tmp_path / "c.nii", volume(space=(2, 3, 4, 5)))
    with pytest.raises(ShapeError, match=r"b\.nii: expected the grid of the other channels .*; resample"):
        read_pair(Pair("a", first, channels=(first, shifted)))
    with pytest.raises(DataError, match=r"c\.nii: expected one channel a file, got 2"):
        read_pair(Pair("a", first, channels=(first, several)))


def test_one_mask_per_class_becomes_a_mask_per_channel(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).random((2, 4, 5)) > 0.5
    write_picture(tmp_path / "a.png", volume(dtype="uint8")[0])
    paths = write_class_masks(tmp_path / "masks", "a.png", truth, ["cell", "nucleus"])
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in paths] == ["cell/a.png", "nucleus/a.png"]
    pair = Pair("a", tmp_path / "a.png", class_masks=tuple(paths))
    case = load_case(pair, class_file_labels(["cell", "nucleus"]))
    assert case.label is not None
    assert case.label.dtype == bool
    assert np.array_equal(case.label, truth)
    with pytest.raises(DataError, match="class names that can name a folder"):
        write_class_masks(tmp_path / "masks", "a.png", truth, ["../cell", "nucleus"])


def test_regions_become_masks_that_overlap(tmp_path: Path) -> None:
    labels = Labels(names=("background", "whole", "core"), values=(0, 1, 2), overlap="regions", regions=((1, 2), (2,)))
    raw = (volume() % 3).astype(np.uint8)
    case = load_case(pair_of(tmp_path, np.eye(4), np.eye(4), raw), labels)
    assert case.label is not None
    assert np.array_equal(case.label, np.stack([raw > 0, raw == 2]))
    assert np.array_equal(labels.decode(case.label), raw)


def test_a_single_volume_is_never_repeated_into_channels() -> None:
    with pytest.raises(DataError, match=r"expected 4 channels, got a volume \(3x4x5 \(z, y, x\)\) of 1; "):
        fit_channels(np.zeros((1, 3, 4, 5)), 4, "scan.nii")
    assert fit_channels(np.zeros((2, 3, 4, 5)), 1, "scan.nii").shape == (1, 3, 4, 5)
