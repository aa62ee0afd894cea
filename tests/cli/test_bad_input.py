"""Bad input ends in one clear error that names the file and the remedy, or in a stated rule; nothing half is left."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.cli.calling import TINY_OPTIONS, Called, call, call_well

from ushape.core.events import count

Spoil = Callable[[Path], object]
RUINED = np.full((40, 48), np.nan, dtype=np.float32)


def save(path: Path, pixels: np.ndarray) -> None:
    (tifffile.imwrite if path.suffix == ".tif" else lambda p, a: Image.fromarray(a).save(p))(path, pixels)


def swap(path: Path, new: Path, pixels: np.ndarray) -> None:
    path.unlink()
    save(new, pixels)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, dtype=np.uint8)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:120])


def jpeg_mask(data: Path) -> None:
    with Image.open(data / "masks" / "case1.png") as mask:
        mask.save(data / "masks" / "case1.jpg")
    (data / "masks" / "case1.png").unlink()


def rgb_mask(data: Path) -> None:
    save(data / "masks" / "case1.png", np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8))


def no_foreground(data: Path) -> None:
    for path in (data / "masks").iterdir():
        save(path, zeros(40, 48))


def no_images(data: Path) -> None:
    for path in (data / "images").iterdir():
        path.unlink()


def infinite(data: Path) -> None:
    pixels = np.ones((40, 48), dtype=np.float32)
    pixels[3, 4] = np.inf
    swap(data / "images" / "case1.png", data / "images" / "case1.tif", pixels)


FAULTS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "a missing mask": (
        lambda data: (data / "masks" / "case1.png").unlink(),
        ("case1.png", "add the masks, or remove the images"),
    ),
    "a surplus mask": (
        lambda data: (data / "images" / "case1.png").unlink(),
        ("case1.png", "add the images, or remove the masks"),
    ),
    "different sizes": (
        lambda data: save(data / "masks" / "case1.png", zeros(30, 48)),
        ("case1: mask has size 30x48 but image has 40x48", "must share one grid: export case1.png again"),
    ),
    "a mask in colours": (rgb_mask, ("case1.png", "; ")),
    "a mask as JPEG": (jpeg_mask, ("case1.jpg", "JPEG", "; ")),
    "a corrupt image": (
        lambda data: half(data / "images" / "case1.png"),
        ("case1.png: cannot be decoded", "copy or export the file again"),
    ),
    "a corrupt mask": (lambda data: half(data / "masks" / "case1.png"), ("case1.png: cannot be decoded", "copy or")),
    "an empty image": (
        lambda data: (data / "images" / "case1.png").write_bytes(b""),
        ("case1.png: expected an image, got an empty file (0 bytes)", "copy it again, or remove it"),
    ),
    "no images at all": (no_images, ("expected images (.png", "check the folder")),
    "no data set": (
        lambda data: (data / "masks").rename(data / "truth"),
        ("expected one folder masks/ or labels/", "rename or move the folders"),
    ),
    "masks without foreground": (
        no_foreground,
        ("expected some foreground, got only 0 in every file", "check that the masks were exported"),
    ),
    "NaN pixels": (
        lambda data: swap(data / "images" / "case1.png", data / "images" / "case1.tif", RUINED),
        ("case1.tif", "NaN", "; "),
    ),
    "infinite pixels": (infinite, ("case1.tif", "1 ", "; ")),
    "two files of one stem": (
        lambda data: save(data / "images" / "case1.bmp", zeros(40, 48)),
        ("case1.bmp", "rename or remove one of each"),
    ),
}


def refused(called: Called, code: int, *parts: str) -> None:
    assert called.code == code, called.err
    assert called.err.startswith("error: ")
    assert "Traceback" not in called.out + called.err
    for part in parts:
        assert part in called.err


@pytest.mark.parametrize(("spoil", "parts"), FAULTS.values(), ids=FAULTS)
def test_bad_data_is_refused_before_anything_is_trained(
    blobs: Path, tmp_path: Path, spoil: Spoil, parts: tuple[str, ...]
) -> None:
    spoil(blobs)
    refused(call("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS), 1, *parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in FAULTS.values()], ids=FAULTS)
def test_the_check_of_a_data_set_finds_what_training_would_refuse(blobs: Path, spoil: Spoil) -> None:
    spoil(blobs)
    said = call("data", "check", blobs)
    assert said.code == 1
    assert "error: " in said.out
    assert "Traceback" not in said.out + said.err


FINE: dict[str, Spoil] = {
    "16-bit images": lambda data: [
        save(path, np.asarray(Image.open(path)).astype(np.uint16) * 256) for path in (data / "images").iterdir()
    ],
    "1-bit images": lambda data: save(data / "images" / "case1.png", np.indices((40, 48)).sum(0) % 2 == 0),
    "1-bit masks": lambda data: [save(path, np.asarray(Image.open(path)) > 0) for path in (data / "masks").iterdir()],
    "an image of one value": lambda data: save(data / "images" / "case1.png", zeros(40, 48) + 9),
    "one mask without foreground": lambda data: save(data / "masks" / "case1.png", zeros(40, 48)),
    "a hidden file": lambda data: (data / "images" / ".DS_Store").write_bytes(b"x"),
    "one image only": lambda data: [
        path.unlink() for kind in ("images", "masks") for path in (data / kind).iterdir() if "case0" not in path.name
    ],
}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("spoil", FINE.values(), ids=FINE)
def test_what_only_looks_odd_trains_and_predicts(blobs: Path, tmp_path: Path, spoil: Spoil) -> None:
    spoil(blobs)
    call_well("train", blobs, "-o", tmp_path / "run", *TINY_OPTIONS, "--epochs", 1)
    masks = len(list((blobs / "masks").iterdir()))
    assert f"{count(masks, 'mask')} in" in call_well("predict", tmp_path / "run", blobs, "-o", tmp_path / "out").out


RECIPES = {
    "a typo": ("[net]\nwdths = [4, 8]\n", "bad.toml.net: unknown field 'wdths'; did you mean 'widths'?"),
    "a wrong value": ('[net]\nup = "liner"\n', "bad.toml.net.up: unknown value 'liner'; did you mean 'linear'?"),
    "an unknown table": ("[trian]\nepochs = 1\n", "bad.toml: unknown field 'trian'; did you mean 'train'?"),
    "no TOML": ("[net\n", "bad.toml: not valid TOML"),
    "a list for a table": ("data = 3\n", "bad.toml.data"),
    "labels that are none": ("data.labels = 3\n", "bad.toml.data.labels"),
    "parts that do not fit": ("[net]\nclasses = 5\n", "net.classes must be 2"),
    "a loss that does not fit": ("[loss]\nbce = {}\n", 'loss.bce: expected head = "sigmoid"'),
}


@pytest.mark.parametrize("name", ["net.wdths", "nte.widths"])
def test_a_name_that_no_recipe_has_is_refused_before_an_image_is_read(blobs: Path, tmp_path: Path, name: str) -> None:
    next((blobs / "images").iterdir()).write_bytes(b"no image")
    refused(call("train", blobs, "-o", tmp_path / "run", "--set", f"{name}=[4]"), 2, "did you mean")


@pytest.mark.parametrize(("text", "part"), RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_cannot_be_used_is_a_wrong_usage(blobs: Path, tmp_path: Path, text: str, part: str) -> None:
    recipe = tmp_path / "bad.toml"
    recipe.write_text(text, encoding="utf-8")
    arguments = ("train", blobs, "-o", tmp_path / "run", "--recipe", recipe, "--epochs", 1)
    refused(call(*arguments, "--set", "patches.size=[32,32]"), 2, part)
    assert not (tmp_path / "run").exists()


WRONG_USAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "epochs and minutes": (("--epochs", "3", "--minutes", "2"), "--epochs and --minutes: expected one of them"),
    "an unknown field": (("--set", "net.wdths=[4]"), "recipe.net: unknown field 'wdths'; did you mean 'widths'?"),
    "an unknown table": (("--set", "nte.widths=[4]"), "recipe: unknown field 'nte'; did you mean 'net'?"),
    "no assignment": (("--set", "net.widths"), "expected name=value, for instance net.up=linear"),
    "a negative rate": (("--lr", "-1"), "recipe.train.optim.lr: input should be greater than 0"),
    "no time": (("--minutes", "0"), "recipe.train.minutes: input should be greater than 0"),
    "an unknown device": (("--device", "gpu"), "recipe.train.device: unknown value 'gpu'; did you mean 'cpu'?"),
    "a missing recipe": (("--recipe", "nowhere.toml"), "nowhere.toml: cannot be read as a recipe"),
    "resume beside others": (("--resume", "runs/a"), "leave out all other options"),
}


@pytest.mark.parametrize(("options", "part"), WRONG_USAGES.values(), ids=WRONG_USAGES)
def test_a_wrong_usage_is_told_with_exit_code_2(
    blobs: Path, tmp_path: Path, options: tuple[str, ...], part: str
) -> None:
    refused(call("train", blobs, "-o", tmp_path / "run", *options), 2, part)
    assert not (tmp_path / "run").exists()


def test_training_without_data_says_what_is_missing() -> None:
    refused(call("train"), 2, "expected a folder with images/ and masks/, or --resume RUN")


def test_an_option_that_does_not_exist_is_told_by_its_nearest() -> None:
    called = call("train", "--epoch", "3")
    assert called.code == 2
    assert "--epochs" in called.err


@pytest.mark.parametrize("spot", ["run", "run/deeper"])
def test_a_file_in_the_way_of_the_run_is_told(blobs: Path, tmp_path: Path, spot: str) -> None:
    (tmp_path / "run").write_text("mine", encoding="utf-8")
    called = call("train", blobs, "-o", tmp_path / spot, *TINY_OPTIONS)
    refused(called, 1, str(tmp_path / spot), "choose another place with -o")
    assert (tmp_path / "run").read_text(encoding="utf-8") == "mine"


def test_an_existing_run_is_refused_and_how_to_go_on_is_told(finished: Path) -> None:
    before = (finished / "run" / "model.safetensors").read_bytes()
    called = call("train", finished / "blobs", "-o", finished / "run", *TINY_OPTIONS)
    refused(called, 1, f"--resume {finished / 'run'}")
    assert (finished / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("verb", "part"),
    [
        (("predict", "IMAGE", "IMAGE", "-o", "OUT"), "not a model file"),
        (("predict", "nowhere", "IMAGE", "-o", "OUT"), "nowhere: expected a model file"),
        (("predict", "RUN", "nowhere", "-o", "OUT"), "nowhere: expected a folder or one of"),
        (("predict", "RUN", "IMAGES", "-o", "IMAGES"), "would lie among the input images"),
        (("predict", "RUN", "IMAGES", "-o", "NOTE"), "cannot be written"),
        (("evaluate", "IMAGES", "nowhere"), "nowhere: expected a folder of true masks, got nothing"),
        (("evaluate", "nowhere", "MASKS"), "nowhere: expected a folder of predicted masks, got nothing"),
        (("evaluate", "IMAGES", "MASKS"), "expected"),
        (("evaluate", "MASKS", "MASKS", "-o", "NOTE"), "cannot be written"),
        (("info", "nowhere"), "nowhere: expected a model file, a run folder, a data set or preset:NAME"),
        (("info", "attention-2d"), "got a preset's name; write preset:attention-2d"),
        (("info", "IMAGE"), "not a model file"),
        (("train", "--resume", "IMAGES"), "expected the folder of a run, found no recipe.toml"),
        (("plan", "nowhere"), "nowhere: expected a folder with images/ and masks/"),
        (("plan", "DATA", "-o", "NOTE/recipe.toml"), "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_verb_tells_what_it_cannot_use(finished: Path, tmp_path: Path, verb: tuple[str, ...], part: str) -> None:
    data = finished / "blobs"
    places = {"RUN": finished / "run", "DATA": data, "IMAGES": data / "images", "MASKS": data / "masks"}
    places |= {"IMAGE": data / "images" / "case0.png", "OUT": tmp_path / "out", "NOTE": tmp_path / "note"}
    places["NOTE"].write_text("mine", encoding="utf-8")
    arguments = [str(places.get(word, word)).replace("NOTE/", f"{places['NOTE']}/") for word in verb]
    refused(call(*arguments), 1, part)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "part"),
    [(("--device", "gpu"), "unknown device 'gpu'"), (("--threshold", "1.5"), "predict.threshold: ")],
    ids=["device", "threshold"],
)
def test_predicting_with_an_impossible_option_is_a_wrong_usage(
    finished: Path, tmp_path: Path, option: tuple[str, ...], part: str
) -> None:
    refused(call("predict", finished / "run", finished / "blobs", "-o", tmp_path, *option), 2, part)


def test_debug_shows_the_traceback(finished: Path) -> None:
    assert "Traceback" in call("info", "nowhere", "--debug").err
