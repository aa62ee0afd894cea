"""The phantom is the same every time, looks like a CT, and is hard for a threshold."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from skimage.filters import threshold_otsu

from ushape.core.errors import ConfigError
from ushape.io.anatomy import CLASSES, LIVER
from ushape.io.faults import check_dataset
from ushape.io.layouts import find_dataset, load_case
from ushape.io.phantom import make_phantom, write_phantoms

SMALL = (12, 64, 64)


def make(seed: int, size: tuple[int, int, int] = SMALL) -> tuple[np.ndarray, np.ndarray]:
    return make_phantom(np.random.default_rng((0, seed)), size)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def test_the_seed_decides_the_volume() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(make(1), make(1), strict=True))
    assert not np.array_equal(make(1)[0], make(2)[0])


@pytest.mark.parametrize("size", [(8, 48, 48), (9, 50, 63), (20, 80, 64)])
@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (5.0, 0.8, 0.8), (1.0, 1.0, 1.0)])
def test_any_size_and_spacing_shows_an_abdomen(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    image, label = make_phantom(np.random.default_rng(0), size, spacing)
    assert (image.shape, image.dtype, label.shape) == (size, np.int16, size)
    assert (label == LIVER).any()
    assert (image < -900).mean() > 0.2


def test_a_size_that_shows_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 8x48x48 voxels, got 8x48x40; 32x128x128 is usual"):
        make(0, (8, 48, 40))


def test_tissues_have_the_values_of_a_ct_and_lesions_are_rare() -> None:
    for seed in range(4):
        image, label = make(seed, (32, 96, 96))
        medians = [np.median(image[label == value]) for value in range(1, 5)]
        assert 80 < medians[0] < 130
        assert 110 < medians[1] < 200
        assert 80 < medians[2] < 150
        assert 40 < medians[3] < 90
        assert 0 < (label == 4).mean() < 0.01
        assert -140 < np.median(image[(image > -200) & (image < -50)]) < -80
        assert (image > 300).any()


def test_edges_are_blurred_across_thick_slices() -> None:
    thin, _ = make_phantom(np.random.default_rng(0), (30, 64, 64), (1.0, 2.0, 2.0))
    thick, _ = make_phantom(np.random.default_rng(0), (10, 64, 64), (9.0, 2.0, 2.0))
    between = [((image > -800) & (image < -300)).mean() for image in (thin, thick)]
    assert between[1] > between[0]


def test_otsus_threshold_fails() -> None:
    scores = []
    for seed in range(4):
        image, label = make(seed, (16, 96, 96))
        body = image > -300
        scores.append(
            (dice(image > threshold_otsu(image), label > 0), dice(image > threshold_otsu(image[body]), label > 0))
        )
    whole, inside = np.mean(scores, axis=0)
    assert 0.1 < whole < 0.35
    assert 0.3 < inside < 0.65


def test_a_written_data_set_is_a_decathlon_task_without_faults(tmp_path: Path) -> None:
    write_phantoms(tmp_path, count=3, seed=5, size=SMALL, spacing=(4.0, 1.5, 1.5))
    found = find_dataset(tmp_path)
    assert found.labels is not None
    assert found.labels.names == CLASSES
    assert str(found).startswith("Decathlon (dataset.json): 3 cases, channels CT")
    case = load_case(found.pairs[1], found.labels)
    image, label = make_phantom(np.random.default_rng((5, 1)), SMALL, (4.0, 1.5, 1.5))
    assert case.label is not None
    assert np.array_equal(case.image[0], image)
    assert np.array_equal(case.label, label)
    assert case.geometry.spacing == (4.0, 1.5, 1.5)
    assert [fault for fault in check_dataset(tmp_path) if fault.severity == "error"] == []


def test_the_patient_lies_as_radiologists_show_it(tmp_path: Path) -> None:
    write_phantoms(tmp_path, count=1, size=SMALL)
    image = nib.load(tmp_path / "labelsTr" / "phantom_000.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    liver = np.argwhere(np.asarray(image.dataobj) == LIVER).mean(axis=0)
    assert (image.affine @ [*liver, 1])[0] > 0  # on the patient's right
    middle = image.affine @ [*(np.array(image.shape) - 1) / 2, 1]
    assert np.allclose(middle[:3], 0, atol=1e-4)


def test_a_larger_data_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "one", count=1, size=SMALL)
    write_phantoms(tmp_path / "two", count=2, size=SMALL)
    name = Path("imagesTr") / "phantom_000.nii.gz"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
