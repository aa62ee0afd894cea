"""`ushape explain`: one page, its pictures and maps, and a clear answer to what it cannot explain."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.calling import Called, call, call_well
from tests.explain.planted import bright_net, cube, save

from ushape.core.case import Geometry
from ushape.core.files import read_json
from ushape.explain.cam import ClassMaps
from ushape.io.nifti import read_nifti, write_nifti
from ushape.predict.postprocess import FillHoles
from ushape.report.heat import UNSEEN
from ushape.report.words import format_number
from ushape.workflows.explain import ExplainRequest
from ushape.workflows.explain import explain as look_into

GRID = Geometry.from_affine(np.diag([-2.0, 1.0, -1.5, 1.0]))
"""Two axes run against the world's, so that preparing the canonical orientation turns them."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models whose weights are set by hand, and images of a bright cube, in 2D and 3D. Read only."""
    folder = tmp_path_factory.mktemp("planted")
    save(bright_net(2), folder / "flat.safetensors")
    save(bright_net(3), folder / "deep.safetensors", orientation="canonical")
    save(bright_net(2, skip="concat"), folder / "plain.safetensors")
    save(bright_net(2), folder / "cleaned.safetensors", rules=(FillHoles(),))
    Image.fromarray((200 * cube(2)).astype(np.uint8)).save(folder / "image.png")
    Image.fromarray((200 * (cube(2) - cube(2, low=17, high=21))).astype(np.uint8)).save(folder / "hole.png")
    Image.fromarray((200 * cube(2, 80, low=64, high=76)).astype(np.uint8)).save(folder / "corner.png")
    Image.fromarray((255 * cube(2)).astype(np.uint8)).save(folder / "mask.png")
    Image.fromarray((255 * cube(2, 30)).astype(np.uint8)).save(folder / "small.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / "rgb.png")
    Image.fromarray(np.zeros((40, 40), dtype=np.uint8)).save(folder / "black.png")
    write_nifti(folder / "scan.nii.gz", 100 * cube(3, 30), GRID)
    write_nifti(folder / "truth.nii.gz", (255 * cube(3, 30)).astype(np.uint8), GRID)
    return folder


def explain(planted: Path, out: Path, model: str, image: str, *options: object) -> Called:
    return call("explain", planted / f"{model}.safetensors", planted / image, "-o", out, *options)


def test_a_picture_is_explained_on_one_page(planted: Path, tmp_path: Path) -> None:
    said = explain(planted, tmp_path / "out", "flat", "image.png", "--label", planted / "mask.png", "--gradients")
    assert said.code == 0, said.err
    assert "Gate decoder.0.join.gate: follows the foreground." in said.out
    page = (tmp_path / "out" / "explain.html").read_text(encoding="utf-8")
    titles = re.findall("<h2>([^<]+)</h2>", page)
    assert titles == [
        "The image and the prediction",
        "The story of one pixel",
        "Through the network",
        "Attention gates",
        "What speaks for foreground",
        "Gradients",
    ]
    assert not re.search(r"<script|src=|https?://", page)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"explain.json", "gate_decoder.0.join.gate.png", "cam_bottleneck.png", "features_heads.0.png"} <= written


def test_the_story_of_a_pixel_is_that_of_its_prediction(planted: Path, tmp_path: Path) -> None:
    facts = explain(planted, tmp_path / "out", "flat", "image.png", "--at", "20,13", "--json").json
    assert facts["values"] == [{"step": "file", "values": [200.0]}, {"step": "minmax", "values": [1.0]}]
    background, bright = facts["logits"]
    assert facts["probabilities"]["foreground"] == pytest.approx(1 / (1 + np.exp(background - bright)), abs=1e-5)
    assert (facts["decided"], facts["true"], facts["class"], facts["compared"]) == (
        "foreground",
        None,
        "foreground",
        "prediction",
    )
    assert facts["at"] == [20, 13]
    del facts["page"]
    kept = read_json(tmp_path / "out" / "explain.json")
    assert set(kept.pop("files")) == {path.name for path in (tmp_path / "out").glob("*.png")}
    assert kept == facts


def test_a_used_folder_loses_the_files_of_an_earlier_explanation_and_no_others(planted: Path, tmp_path: Path) -> None:
    explain(planted, tmp_path, "flat", "image.png")
    assert (tmp_path / "gate_decoder.0.join.gate.png").exists()
    (tmp_path / "gate_mine.png").write_bytes(b"a picture")
    said = explain(planted, tmp_path, "plain", "black.png")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"gate_mine.png", "explain.html", "explain.json", *read_json(tmp_path / "explain.json")["files"]}
    assert "gate_decoder.0.join.gate.png" not in left
    assert "The image has one value everywhere" in said.out
    assert {stage["image_kept"] for stage in read_json(tmp_path / "explain.json")["stages"]} == {None}


def test_what_a_rule_made_of_a_pixel_is_told_apart_from_what_the_network_says(planted: Path, tmp_path: Path) -> None:
    said = explain(planted, tmp_path / "out", "cleaned", "hole.png", "--at", "19,19")
    facts = read_json(tmp_path / "out" / "explain.json")
    background, bright = (format_number(facts["probabilities"][name]) for name in ("background", "foreground"))
    told = f"The network says background ({background}); cleaning (fill_holes) made it foreground."
    assert f"is predicted as foreground, with a probability of {bright}.\n{told}" in said.out
    assert told in (tmp_path / "out" / "explain.html").read_text(encoding="utf-8")
    assert (facts["said"], facts["cleaned"], facts["decided"]) == (
        "background",
        [{"rule": "fill_holes", "decided": "foreground"}],
        "foreground",
    )
    assert see(planted, tmp_path, "cleaned", "hole.png", "19,19").region[19, 19]
    assert not see(planted, tmp_path, "flat", "hole.png", "13,13").region[19, 19]


def see(planted: Path, out: Path, model: str, image: str, at: str, class_name: str = "") -> ClassMaps:
    request = ExplainRequest(planted / f"{model}.safetensors", planted / image, out, at=at, class_name=class_name)
    return look_into(request)[0].spoken


def test_a_class_is_explained_where_it_is_whatever_point_is_followed(planted: Path, tmp_path: Path) -> None:
    near = see(planted, tmp_path, "flat", "image.png", "10,10", "foreground")
    assert (near.region[13, 13], near.seen[10, 10], near.reason) == (True, True, "it was asked for")
    far = see(planted, tmp_path, "flat", "corner.png", "1,2", "foreground")
    assert (far.region[70, 70], far.seen[1, 2]) == (True, False)
    assert far.reason == "it was asked for, not in the window around the followed place, so in one of its own"


def test_a_class_that_nobody_chose_is_told_with_the_reason(planted: Path, tmp_path: Path) -> None:
    said = explain(planted, tmp_path / "out", "flat", "image.png", "--at", "1,2")
    assert "Explained is foreground: the followed place is background, which cannot be explained, and" in said.out


def test_what_was_not_looked_at_is_hatched(planted: Path, tmp_path: Path) -> None:
    explain(planted, tmp_path / "far", "flat", "corner.png")
    explain(planted, tmp_path / "whole", "flat", "small.png")
    drawn, whole = (np.asarray(Image.open(tmp_path / out / "cam_bottleneck.png")) for out in ("far", "whole"))
    assert {tuple(pixel) for pixel in drawn[:100, :100].reshape(-1, 3).tolist()} == set(UNSEEN)
    assert not {tuple(pixel) for pixel in drawn[-90:-30, -90:-30].reshape(-1, 3).tolist()} & set(UNSEEN)
    pages = [(tmp_path / out / "explain.html").read_text(encoding="utf-8") for out in ("far", "whole")]
    assert ["hatched" in page for page in pages] == [True, False]
    assert not (whole == UNSEEN[0]).all(axis=-1).any()


def test_maps_of_a_volume_lie_on_its_own_grid(planted: Path, tmp_path: Path) -> None:
    said = explain(planted, tmp_path / "out", "deep", "scan.nii.gz", "--label", planted / "truth.nii.gz")
    assert said.code == 0, said.err
    assert "follows the foreground" in said.out
    truth = read_nifti(planted / "truth.nii.gz")
    for name in ("gate_decoder.0.join.gate", "cam_bottleneck", "cam_decoder.0"):
        found = read_nifti(tmp_path / "out" / f"{name}.nii.gz")
        np.testing.assert_allclose(found.geometry.affine, truth.geometry.affine, atol=1e-5)
        assert found.pixels.shape == truth.pixels.shape
        inside = np.asarray(truth.pixels) > 0
        assert np.asarray(found.pixels)[inside].mean() > 5 * np.asarray(found.pixels)[~inside].mean()


def test_a_model_without_gates_and_an_image_without_foreground_are_said_so(planted: Path, tmp_path: Path) -> None:
    said = explain(planted, tmp_path / "out", "plain", "black.png")
    assert said.code == 0, said.err
    page = (tmp_path / "out" / "explain.html").read_text(encoding="utf-8")
    assert "This network has no attention gates" in page
    assert "No foreground was predicted" in page
    assert "Not in this page" in page


def test_a_trained_run_is_explained(finished: Path, tmp_path: Path) -> None:
    image, mask = (finished / "blobs" / kind / "case0.png" for kind in ("images", "masks"))
    said = call_well("explain", finished / "run", image, "--label", mask, "--gradients", "-o", tmp_path, "--json")
    assert not [layer for layer in said.json["gradients"]["layers"] if layer["fault"]]


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a point outside": (
        ("flat", "image.png", "--at", "3,40"),
        2,
        "--at 3,40: expected a point in the image, from 0,0 to",
    ),
    "a point of other axes": (("flat", "image.png", "--at", "1,2,3"), 2, "expected row,col, 2 whole numbers"),
    "no point": (("flat", "image.png", "--at", "middle"), 2, "expected row,col"),
    "an unknown class": (("flat", "image.png", "--class", "foregroud"), 2, "did you mean 'foreground'?"),
    "the background": (
        ("flat", "image.png", "--class", "background"),
        2,
        "cannot be explained; choose one of: foreground",
    ),
    "an image without the class": (
        ("flat", "black.png", "--class", "foreground"),
        1,
        "got none; choose another --class",
    ),
    "other channels": (
        ("flat", "rgb.png"),
        1,
        "rgb.png: expected a gray image, got one in colours; convert",
    ),
    "a volume": (("flat", "scan.nii.gz"), 1, "expected an image of 2 axes"),
    "a mask of another size": (("flat", "image.png", "--label", "small.png"), 1, "mask has size 30x30 but image has"),
    "gradients without a mask": (("flat", "image.png", "--gradients"), 2, "give it with --label MASK"),
    "no image": (("flat", "nowhere.png"), 1, "nowhere.png: expected"),
    "a folder": (("flat", "."), 1, "expected"),
    "no model": (("nowhere", "image.png"), 1, "nowhere.safetensors: expected a model file"),
}


@pytest.mark.parametrize(("words", "code", "part"), BAD.values(), ids=BAD)
def test_what_cannot_be_explained_is_told(
    planted: Path, tmp_path: Path, words: tuple[str, ...], code: int, part: str
) -> None:
    words = tuple(str(planted / word) if word == "small.png" else word for word in words)
    said = explain(planted, tmp_path / "out", *words)
    assert (said.code, said.err.startswith("error: ")) == (code, True), said.err
    assert part in said.err
    assert not (tmp_path / "out").exists()
