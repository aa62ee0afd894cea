"""Images larger than memory: the same mask as in memory, the file whole or not there."""

import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from tests.predict.test_slabs import Position

from ushape.core import files
from ushape.core.errors import DataError, OutputError
from ushape.core.labels import Labels
from ushape.io import large, tiled
from ushape.io.images import read_mask
from ushape.nets.config import UNetConfig
from ushape.plan.data import DataConfig
from ushape.plan.recipe import Recipe
from ushape.plan.usage import make_usage
from ushape.predict.postprocess import Largest
from ushape.predict.predictor import PredictConfig
from ushape.predict.windows import WindowConfig
from ushape.prep.intensity import DatasetStats, MinMax, ZScore
from ushape.prep.pipeline import PrepConfig
from ushape.workflows import infer, stream
from ushape.workflows.infer import OutputOptions, predict_files
from ushape.workflows.model import Model
from ushape.workflows.runtime import Running

SIZE = {2: (40, 48), 3: (10, 12, 14)}
LABELS = Labels(names=("background", "a", "b"), values=(0, 7, 200))


def make_model(ndim: int, channels: int, **prep: object) -> Model:
    recipe = Recipe(
        data=DataConfig(channels=channels, labels=LABELS),
        prep=PrepConfig.model_validate(prep),
        net=UNetConfig(ndim=ndim, in_channels=channels, classes=3),
        patches={"size": SIZE[ndim]},
        predict=PredictConfig(window=WindowConfig(size=SIZE[ndim], overlap=0.25, batch=2)),
    )
    return Model(Running(make_usage(recipe.model_dump(mode="json"), "recipe"), Position(3)), recipe.predict)


def write_tiff(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (150, 130, 3), dtype=np.uint8)
    tifffile.imwrite(path, pixels, tile=(32, 32), photometric="rgb", compression="zlib")


def write_nii(path: Path, dtype: type = np.int16) -> None:
    voxels = np.random.default_rng(0).integers(-90, 900, (30, 28, 34)).astype(dtype)
    voxels[:4] = voxels[:, -5:] = 0
    affine = np.array([[-1.0, 0, 0, 5], [0, 0, 2.0, 6], [0, 1.5, 0, 7], [0, 0, 0, 1]])  # axes swapped and flipped
    nib.save(nib.Nifti1Image(voxels, affine), path)


CASES = {
    "colours.tif": (2, 3, write_tiff, {"intensity": (MinMax(), ZScore())}),
    "scan.nii": (3, 1, write_nii, {"intensity": (ZScore(within="nonzero"),)}),
    "turned.nii": (3, 1, write_nii, {"intensity": "zscore", "orientation": "canonical", "crop": "nonzero"}),
    "stated.nii": (3, 1, write_nii, {"intensity": (DatasetStats(low=(0,), high=(500,), mean=(100,), std=(90,)),)}),
}


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every image count as large, and list those that were streamed."""
    monkeypatch.setattr(large, "LARGE", 1)
    done: list[str] = []

    def spy(model, target, listener):  # type: ignore[no-untyped-def]
        if stream.predict_streamed(model, target, listener):
            done.append(target.pair.name)
            return True
        return False

    monkeypatch.setattr(infer, "predict_streamed", spy)
    return done


@pytest.mark.parametrize("name", CASES)
def test_the_mask_of_a_streamed_image_is_that_of_one_in_memory(tmp_path: Path, streamed: list[str], name: str) -> None:
    ndim, channels, write, prep = CASES[name]
    write(tmp_path / name)
    model = make_model(ndim, channels, **prep)
    predict_files(model, tmp_path / name, tmp_path / "large", OutputOptions())
    assert streamed == [Path(name).stem]
    predict_files(model, tmp_path / name, tmp_path / "small", OutputOptions(probabilities=True))
    assert len(streamed) == 1
    masks = [read_mask(tmp_path / folder / name) for folder in ("large", "small")]
    np.testing.assert_array_equal(*masks)
    assert set(np.unique(masks[0])) == {0, 7, 200}
    assert [path.name for path in (tmp_path / "large").iterdir()] == [name]
    if ndim == 3:
        headers = [nib.load(tmp_path / folder / name).affine for folder in ("large", "small")]
        np.testing.assert_array_equal(*headers)


@pytest.mark.parametrize(
    ("channels", "prep"),
    [
        (1, {"resample": {"spacing": (1.0, 1.0, 1.0)}}),
        (1, {"fit": {"size": (20, 20, 20)}}),
        (1, {"intensity": [{"name": "clip_percentiles"}]}),
    ],
)
def test_what_needs_the_whole_image_gets_it(tmp_path: Path, streamed: list[str], channels: int, prep: dict) -> None:
    write_nii(tmp_path / "scan.nii")
    result = predict_files(make_model(3, channels, **prep), tmp_path / "scan.nii", tmp_path / "out", OutputOptions())
    assert (streamed, len(result.written)) == ([], 1)


def test_a_model_with_rules_and_a_packed_file_are_not_streamed(tmp_path: Path, streamed: list[str]) -> None:
    write_nii(tmp_path / "scan.nii")
    model = make_model(3, 1)
    model.config = model.config.model_copy(update={"postprocess": (Largest(),)})
    assert len(predict_files(model, tmp_path / "scan.nii", tmp_path / "out", OutputOptions()).written) == 1
    write_nii(tmp_path / "packed.nii.gz")
    predict_files(make_model(3, 1), tmp_path / "packed.nii.gz", tmp_path / "out", OutputOptions())
    assert streamed == []


def test_nan_in_a_streamed_image_is_told_and_no_file_is_left(tmp_path: Path, streamed: list[str]) -> None:
    write_nii(tmp_path / "scan.nii", np.float32)
    with (tmp_path / "scan.nii").open("r+b") as file:
        file.seek(-4, 2)
        file.write(np.float32(np.nan).tobytes())
    result = predict_files(make_model(3, 1), tmp_path / "scan.nii", tmp_path / "out", OutputOptions())
    assert "expected finite pixels, got NaN or inf" in str(result.failed)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_without_room_for_the_mask_is_told_before_the_first_window(
    tmp_path: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiff(tmp_path / "colours.tif")

    def full(size: int) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "bytes", full, raising=False)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); choose another place"):
        predict_files(make_model(2, 3), tmp_path / "colours.tif", tmp_path / "out", OutputOptions())
    assert list((tmp_path / "out").iterdir()) == []


def test_memory_does_not_grow_with_the_height_of_an_image(
    tmp_path: Path, streamed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "CACHE_BYTES", 8 * 64 * 64)
    peaks = []
    for rows in (400, 2400):
        path = tmp_path / f"tall{rows}.tif"
        pixels = np.random.default_rng(0).integers(0, 255, (rows, 200), dtype=np.uint8)
        tifffile.imwrite(path, pixels, tile=(64, 64), photometric="minisblack")
        tracemalloc.start()
        predict_files(make_model(2, 1, intensity="none"), path, tmp_path / "out", OutputOptions())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(streamed) == 2
    assert peaks[1] - peaks[0] < 2 * 2000 * 200  # half of what these rows take in float32


def test_a_damaged_tile_fails_the_image_and_leaves_no_mask(tmp_path: Path, streamed: list[str]) -> None:
    path = tmp_path / "colours.tif"
    write_tiff(path)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[-1]  # type: ignore[union-attr]
    content = bytearray(path.read_bytes())
    content[offset : offset + 60] = bytes(60)
    path.write_bytes(content)
    result = predict_files(make_model(2, 3), path, tmp_path / "out", OutputOptions())
    assert isinstance(infer.list_failures(result), DataError)
    assert list((tmp_path / "out").iterdir()) == []
