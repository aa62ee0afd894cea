"""A model applied to files: any size and format, the mask on the input's pixels in the label's own values."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import fit_tiny

from ushape.core.errors import ConfigError, DataError, ModelFileError, OutputError
from ushape.core.events import Message
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.io.images import read_image, read_mask
from ushape.patches.augment import AugmentConfig
from ushape.patches.warp import WarpConfig
from ushape.plan.recipe import Recipe
from ushape.plan.usage import Usage, make_usage
from ushape.predict.compose import Mirrored
from ushape.predict.postprocess import MinSize
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.extras import Extras
from ushape.workflows.infer import list_failures, predict_files
from ushape.workflows.model import Model, load
from ushape.workflows.tidied import store_rules
from ushape.workflows.tidy import Tidying

PLAIN = OutputOptions()


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    learnt = {"train.epochs": 5, "train.steps_per_epoch": 12, "train.optim.lr": 0.02}
    return fit_tiny(write_blobs(folder / "blobs"), folder / "run", learnt).model


@pytest.fixture
def model(model_file: Path) -> Model:
    return load(model_file)


def scene(*size: int) -> np.ndarray:
    """A bright square on a dark ground."""
    image = np.random.default_rng(0).normal(60, 12, size)
    image[tuple(slice(n // 4, n // 2) for n in size)] += 90
    return np.clip(image, 0, 255).astype(np.uint8)


WRITERS = {
    "gray.png": lambda path: Image.fromarray(scene(61, 83)).save(path),
    "tiny.bmp": lambda path: Image.fromarray(scene(1, 7)).save(path),
    "lossy.jpg": lambda path: Image.fromarray(scene(64, 64)).save(path),
    "rgb_but_gray.png": lambda path: Image.fromarray(np.stack([scene(40, 50)] * 3, axis=-1)).save(path),
    "deep.png": lambda path: Image.fromarray(scene(50, 70).astype(np.uint16) * 200).save(path),
    "deep.tif": lambda path: tifffile.imwrite(path, scene(47, 53).astype(np.uint16) * 250),
    "real.tiff": lambda path: tifffile.imwrite(path, scene(90, 31).astype(np.float32) / 255),
    "bits.png": lambda path: Image.fromarray(scene(40, 40) > 100).save(path),
    "flat.png": lambda path: Image.fromarray(np.full((45, 45), 9, dtype=np.uint8)).save(path),
    "large.png": lambda path: Image.fromarray(scene(300, 210)).save(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_mask_has_its_image_s_size_stem_and_the_label_s_values(model: Model, tmp_path: Path, name: str) -> None:
    image = tmp_path / name
    WRITERS[name](image)
    result = predict_files(model, image, tmp_path / "out", PLAIN)
    (mask,) = result.written
    expected = {".jpg": ".png", ".bmp": ".png"}.get(image.suffix, image.suffix)
    assert mask == tmp_path / "out" / (image.stem + expected)
    values = read_mask(mask)
    assert values.shape == read_image(image).shape[1:]
    assert set(np.unique(values)) <= {0, 255}


def test_the_bright_square_is_found_whatever_the_image_s_type(model: Model, tmp_path: Path) -> None:
    for name in ("gray.png", "deep.png", "deep.tif", "real.tiff"):
        WRITERS[name](tmp_path / name)
        (mask,) = predict_files(model, tmp_path / name, tmp_path / name.replace(".", "_"), PLAIN).written
        found = read_mask(mask) > 0
        rows, cols = found.shape
        inside = found[rows // 4 : rows // 2, cols // 4 : cols // 2]
        assert inside.mean() > 0.8, name
        assert found.mean() < 0.3, name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "in"
    images.mkdir()
    for name in ("gray.png", "deep.tif", "lossy.jpg"):
        WRITERS[name](images / name)
    return images


def test_a_folder_is_predicted_file_by_file_with_overlays_and_probabilities(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = predict_files(model, folder, out, OutputOptions(overlays=True, probabilities=True))
    assert sorted(path.name for path in result.written) == ["deep.tif", "gray.png", "lossy.png"]
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["deep.png", "gray.png", "lossy.png"]
    assert read_image(out / "overlays" / "gray.png").shape == (3, 4 * 61, 4 * 83)  # enlarged
    probabilities = tifffile.imread(out / "probabilities" / "gray.tif")
    assert (probabilities.shape, probabilities.dtype) == ((2, 61, 83), np.float16)
    np.testing.assert_allclose(probabilities.astype(np.float32).sum(axis=0), 1, atol=2e-3)
    clear = abs(probabilities[1] - probabilities[0]) > 1e-3  # float16 rounds what is nearly a tie
    np.testing.assert_array_equal(
        (probabilities[1] > probabilities[0])[clear], (read_mask(out / "gray.png") > 0)[clear]
    )
    assert not list(out.rglob(".*"))


def test_uncertainty_and_numbered_objects_are_written_on_request(
    model_file: Path, folder: Path, tmp_path: Path
) -> None:
    messages: list[object] = []
    extras = Extras(uncertainty=True, instances="components")
    out, model = tmp_path / "out", load(model_file, mirror=True, postprocess="largest,fill_holes")
    predict_files(model, folder, out, OutputOptions(extras=extras), messages.append)
    assert Message("averaging over 4 mirror images, along rows and columns as in training") in messages
    for name in ("gray.png", "deep.tif", "lossy.png"):
        mask, objects = read_mask(out / name), read_mask(out / "instances" / name)
        assert objects.dtype == np.uint16
        np.testing.assert_array_equal(objects > 0, mask > 0)
        assert objects.max() == 1  # the largest component alone is left
        uncertainty = tifffile.imread(out / "uncertainty" / f"{Path(name).stem}.tif")
        assert (uncertainty.shape, uncertainty.dtype) == ((2, *mask.shape), np.float16)
        assert 0 < uncertainty[0].max() <= 1


def test_a_model_s_own_rules_are_applied_unless_others_are_given(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model(path, read_weights(model_file), read_header(model_file))
    store_rules(path, Tidying((MinSize(size=1e9),), "nothing is that large"))
    assert load(path).predict(scene(64, 64)).label.max() == 0
    assert load(path).predict(scene(64, 64), probabilities=False).label.max() == 0
    assert load(path, postprocess="none").predict(scene(64, 64)).label.max() == 1


@pytest.mark.parametrize("name", ["deep.tif", "gray.png"])
def test_a_full_disk_is_told_and_leaves_no_half_written_file(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fill_up(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fill_up)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); choose another"):
        predict_files(model, folder / name, tmp_path / "out", PLAIN)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_data_set_is_predicted_from_its_images_folder(model: Model, blobs: Path, tmp_path: Path) -> None:
    assert len(predict_files(model, blobs, tmp_path / "out", PLAIN).written) == 6


def test_finished_masks_are_skipped_on_request(model: Model, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(model, folder / "gray.png", out, PLAIN)
    before = (out / "gray.png").stat().st_mtime_ns
    result = predict_files(model, folder, out, OutputOptions(skip_existing=True))
    assert (len(result.written), [path.name for path in result.skipped]) == (2, ["gray.png"])
    assert (out / "gray.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("output", ["mask.png", "sub/mask.tif", "sub.v2"])
def test_the_mask_of_one_image_may_be_named_and_a_folder_may_have_a_dot(
    model: Model, folder: Path, tmp_path: Path, output: str
) -> None:
    (mask,) = predict_files(model, folder / "gray.png", tmp_path / output, PLAIN).written
    assert mask == (tmp_path / output / "gray.png" if output == "sub.v2" else tmp_path / output)
    assert read_mask(mask).shape == (61, 83)


def test_a_bad_image_is_told_and_the_others_go_on(model: Model, folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "gray.png").read_bytes()[:200])
    (folder / "empty.png").touch()
    colours = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(colours).save(folder / "colours.png")
    result = predict_files(model, folder, tmp_path / "out", PLAIN)
    assert len(result.written) == 3
    assert {Path(name).name for name in result.failed} == {"broken.png", "empty.png", "colours.png"}
    error = list_failures(result)
    assert error is not None
    parts = (
        "3 of 6 images failed",
        "broken.png: cannot be decoded",
        "empty.png: expected an image, got an empty file",
        "colours.png: expected a gray image, got one in colours; convert it to gray",
    )
    for part in parts:
        assert part in str(error)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"deep.tif", "gray.png", "lossy.png"}


@pytest.mark.parametrize("single", [True, False])
def test_images_are_never_overwritten(model: Model, folder: Path, single: bool) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    source = folder / "gray.png" if single else folder
    with pytest.raises(OutputError, match="would lie among the input images; choose another place with -o"):
        predict_files(model, source, folder, PLAIN)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_in_the_way_of_the_output_is_named(model: Model, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"taken.*cannot be written .*; choose another place with -o"):
        predict_files(model, folder, tmp_path / "taken", PLAIN)


def test_a_folder_without_images_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"expected images \(.*\), got only notes\.txt"):
        predict_files(model, tmp_path, tmp_path / "out", PLAIN)
    with pytest.raises(DataError, match="got nothing; check the path"):
        predict_files(model, tmp_path / "nowhere", tmp_path / "out", PLAIN)


def test_arrays_are_predicted_with_and_without_a_channel_axis(model: Model) -> None:
    one, other = model.predict(scene(30, 40)), model.predict(scene(30, 40)[None])
    np.testing.assert_array_equal(one.label, other.label)
    assert one.label.shape == (30, 40)


def test_a_lower_threshold_finds_more(model_file: Path) -> None:
    few, many = (load(model_file, threshold=value).predict(scene(64, 64)).label.sum() for value in (0.9, 0.1))
    assert few <= many


def test_mirroring_makes_the_prediction_commute_with_flips(model_file: Path) -> None:
    model = load(model_file, mirror=True)
    plain, flipped = model.predict(scene(32, 32)), model.predict(np.ascontiguousarray(scene(32, 32)[::-1]))
    assert plain.probabilities is not None
    assert flipped.probabilities is not None
    np.testing.assert_allclose(flipped.probabilities[:, ::-1], plain.probabilities, atol=2e-2)  # in bf16


def test_what_training_never_flipped_is_not_mirrored() -> None:
    def usage(**warp: object) -> Usage:
        recipe = Recipe(augment=AugmentConfig(warp=WarpConfig.model_validate(warp)))
        return make_usage(recipe.model_dump(mode="json"), "recipe")

    assert usage().mirror_axes() == (0, 1)
    assert usage(flip_axes=(1,)).mirror_axes() == (1,)
    for tells_sides_apart in (usage(flip=False), usage(flip_axes=())):
        with pytest.raises(ConfigError, match=r"predict\.mirror: expected a model trained with flips.* leave"):
            tells_sides_apart.mirror_axes()


def test_mirroring_follows_the_axes_of_training(model_file: Path, tmp_path: Path) -> None:
    header = read_header(model_file)
    one_axis = header.recipe.replace('flip_axes = "all"', "flip_axes = [1]")
    write_model(tmp_path / "m.safetensors", read_weights(model_file), replace(header, recipe=one_axis))
    mirrored = load(tmp_path / "m.safetensors", mirror=True).engine
    assert isinstance(mirrored, Mirrored)
    assert mirrored.axes == (1,)


def test_the_label_is_the_same_without_the_probabilities(model: Model) -> None:
    both, alone = model.predict(scene(90, 70)), model.predict(scene(90, 70), probabilities=False)
    np.testing.assert_array_equal(alone.label, both.label)
    assert alone.probabilities is None


def test_an_impossible_threshold_is_refused(model_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"predict\.threshold: expected a number between 0 and 1, got 2\.0"):
        load(model_file, threshold=2.0)


def test_the_folder_of_a_run_stands_for_its_model(model_file: Path) -> None:
    assert load(model_file.parent).recipe == load(model_file).recipe


def test_a_model_that_was_cut_off_is_refused(model_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(model_file.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"half\.safetensors: damaged weights .*; copy the file again"):
        load(half)


def test_prediction_loads_nothing_that_only_training_and_reports_need() -> None:
    code = "import sys, ushape.workflows.infer, ushape.workflows.model; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"lightning", "matplotlib", "skimage", "scipy", "ushape.measure", "ushape.report"}
    assert heavy & set(done.stdout.split()) == set()


def test_files_of_unknown_kind_beside_the_images_are_told_once(model: Model, tmp_path: Path) -> None:
    Image.fromarray(scene(40, 50)).save(tmp_path / "a.png")
    (tmp_path / "b.hdr").touch()
    said: list[object] = []
    predict_files(model, tmp_path, tmp_path / "out", PLAIN, said.append)
    warnings = [one.text for one in said if isinstance(one, Message) and one.level == "warning"]
    assert warnings == [f"{tmp_path}: not read, unknown kind: 1 file (b.hdr); convert or remove them"]
