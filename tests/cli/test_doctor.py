"""`ushape doctor RUN`: wrong labels that were planted are listed and drawn; runs that broke off are told of."""

import importlib.metadata
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.calling import call, call_well
from tests.conftest import write_blobs

from ushape.core.files import format_csv, write_json, write_text
from ushape.nets.config import UNetConfig
from ushape.plan.recipe import Recipe, to_toml

SOUND = {f"case{i}" for i in range(12)} - {"case1", "case4"}
CURVES = "epoch,step,train_loss,val_dice\n" + "".join(f"{i},{50 * i},{1 / i},{0.9 - 0.1 / i}\n" for i in range(1, 9))


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-validation of 12 discs as it lies on disk, its predictions the discs moved by a pixel. Read only.

    The mask of case1 lies where another's would, that of case4 is empty.
    """
    folder = tmp_path_factory.mktemp("crossed")
    masks = write_blobs(folder / "blobs", count=12) / "masks"
    discs = {path.stem: np.asarray(Image.open(path)) for path in sorted(masks.iterdir())}
    labels = {**discs, "case1": np.roll(discs["case1"], (20, -24), (0, 1)), "case4": np.zeros_like(discs["case4"])}
    for name, label in labels.items():
        Image.fromarray(label).save(masks / f"{name}.png")
    recipe = to_toml(Recipe(net=UNetConfig(widths=(4, 8))), {})
    for number, held_out in enumerate((list(discs)[::2], list(discs)[1::2])):
        fold = folder / "run" / f"fold-{number}"
        (fold / "predictions").mkdir(parents=True)
        guesses = {name: np.roll(discs[name], 1, 0) for name in held_out}
        rows = [{"case": name, "foreground_dice": overlap(guess, labels[name])} for name, guess in guesses.items()]
        for name, guess in guesses.items():
            Image.fromarray(guess).save(fold / "predictions" / f"{name}.png")
        write_text(fold / "cases.csv", format_csv(rows))
        write_text(fold / "metrics.csv", CURVES)
        write_text(fold / "recipe.toml", recipe)
        split = {"training": sorted(discs.keys() - held_out), "validation": held_out}
        write_json(fold / "splits.json", {"data": str(folder / "blobs"), **split})
        write_text(fold / "report.html", "")
    write_text(folder / "run" / "recipe.toml", recipe)
    return folder


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float(((one > 0) & (other > 0)).sum()) / float((one > 0).sum() + (other > 0).sum())


def test_planted_wrong_labels_are_listed_and_drawn(crossed: Path, tmp_path: Path) -> None:
    said = call_well("doctor", crossed / "run", "-o", tmp_path / "seen")
    assert "labels of 12 of 12 cases judged: 2 to check" in said.out
    assert "case1 (Dice 0.00, fold-" in said.out
    facts = call_well("doctor", crossed / "run", "--json").json
    differs = {one["case"]: one["differs"] for one in facts["suspects"]}
    assert not SOUND & differs.keys()
    assert "another image's mask" in differs["case1"]
    assert "nothing is labelled" in differs["case4"]
    written = {path.name for path in (tmp_path / "seen").iterdir()}
    assert written == {"suspects.html", "case1.png", "case4.png"}
    page = (tmp_path / "seen" / "suspects.html").read_text(encoding="utf-8")
    assert "is the label" not in page
    assert page.count("<figure") == 2
    image, _, label, _, prediction = np.split(
        np.asarray(Image.open(tmp_path / "seen" / "case1.png")), [288, 292, 580, 584], 1
    )
    true = np.asarray(Image.open(crossed / "blobs" / "masks" / "case1.png")) > 0
    true = np.kron(true, np.ones((6, 6), bool))  # pictures of 48 pixels are enlarged
    assert (image[true] == image[true][:, :1]).all()
    assert (label[true].max(axis=1) > label[true].min(axis=1)).all()
    assert (label[~true] == label[~true][:, :1]).all()
    assert (prediction[true] == prediction[true][:, :1]).all()


def test_suspects_are_listed_though_the_data_set_is_gone(crossed: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(crossed / "run", moved)
    for splits in moved.rglob("splits.json"):
        splits.write_text(splits.read_text(encoding="utf-8").replace("blobs", "elsewhere"), encoding="utf-8")
    facts = call_well("doctor", moved, "--json").json
    assert {one["case"] for one in facts["suspects"]} == {"case1", "case4"}
    assert all("elsewhere" in one["differs"] for one in facts["suspects"])
    said = call("doctor", moved, "-o", tmp_path / "seen")
    assert (said.code, "elsewhere" in said.err) == (1, True)


def test_of_one_split_only_the_cases_held_out_are_judged(finished: Path, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (finished / "run").iterdir()}
    said = call_well("doctor", finished / "run", "-o", tmp_path / "seen")
    assert "run: few epochs: 2 epochs cannot show" in said.out
    assert "labels of 1 of 6 cases judged, those held out; train with --fold all to judge each: too few" in said.out
    assert not (tmp_path / "seen").exists()
    assert {path.name: path.stat().st_mtime_ns for path in (finished / "run").iterdir()} == before


def cut_run(finished: Path, folder: Path, *kept: str) -> Path:
    folder.mkdir()
    for name in kept:
        shutil.copy(finished / "run" / name, folder / name)
    return folder


def test_a_run_that_was_cut_off_is_told_of(finished: Path, tmp_path: Path) -> None:
    begun = cut_run(finished, tmp_path / "begun", "recipe.toml")
    (found,) = call_well("doctor", begun, "--json").json["findings"]
    assert (found["folder"], found["name"]) == ("begun", "cut off")
    assert "no checkpoint" in found["remedy"]
    said = call("explain", begun, finished / "blobs" / "images" / "case0.png", "-o", tmp_path / "out")
    assert (said.code, f"see what to do with: ushape doctor {begun}" in said.err) == (1, True)
    half = cut_run(finished, tmp_path / "half", "recipe.toml", "splits.json", "metrics.csv", "last.ckpt")
    said = call_well("doctor", half)
    assert "stopped after 2 epochs" in said.out
    assert f"ushape train --resume {half}" in said.out
    assert "no label was judged" in said.out


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no model": (lambda run: (run / "model.safetensors").unlink(), "missing model"),
    "a model cut off": (lambda run: os.truncate(run / "model.safetensors", 9000), "damaged model"),
    "no curves": (lambda run: (run / "metrics.csv").unlink(), "missing curves"),
    "curves cut in the head": (lambda run: os.truncate(run / "metrics.csv", 12), "damaged curves"),
    "curves cut in a row": (
        lambda run: (run / "metrics.csv").write_text((run / "metrics.csv").read_text().rpartition(",")[0]),
        "damaged curves",
    ),
    "no predictions": (lambda run: shutil.rmtree(run / "predictions"), "missing predictions"),
    "no report": (lambda run: (run / "report.html").unlink(), "missing report"),
}


@pytest.mark.parametrize(("spoil", "name"), DAMAGES.values(), ids=DAMAGES)
def test_files_that_are_missing_or_damaged_are_named_with_what_to_do(
    finished: Path, tmp_path: Path, spoil: Callable[[Path], object], name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished / "run", run)
    whole = {each["name"] for each in call_well("doctor", run, "--json").json["findings"]}
    assert whole == {"few epochs"}
    spoil(run)
    found = {each["name"]: each for each in call_well("doctor", run, "--json").json["findings"]}
    assert found.keys() - whole == {name}
    assert "copy" in found[name]["remedy"]


def test_a_run_whose_model_is_gone_is_not_said_to_have_ended_early(finished: Path, tmp_path: Path) -> None:
    run = cut_run(finished, tmp_path / "run", "recipe.toml", "splits.json", "metrics.csv", "cases.csv")
    said = call("explain", run, finished / "blobs" / "images" / "case0.png", "-o", tmp_path / "out")
    assert (said.code, "got one whose model.safetensors is missing" in said.err) == (1, True)


def test_what_is_no_run_is_refused(finished: Path, tmp_path: Path) -> None:
    said = call("doctor", tmp_path)
    assert (said.code, "expected the folder of a run, found no recipe.toml" in said.err) == (1, True)
    said = call("doctor", tmp_path / "nosuch")
    assert (said.code, "nosuch: expected the folder of a run, got no such folder" in said.err) == (1, True)
    said = call("doctor", finished)
    assert (said.code, "give one of the runs in it: run" in said.err) == (1, True)
    said = call("doctor", "-o", tmp_path)
    assert (said.code, "expected a run folder with it" in said.err) == (2, True)
    broken = cut_run(finished, tmp_path / "broken", "recipe.toml", "cases.csv", "metrics.csv")
    (broken / "metrics.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    said = call("doctor", broken)
    assert (said.code, said.err.startswith("error: ")) == (1, True)
    assert "metrics.csv" in said.err


def test_the_machine_is_looked_at_and_every_optional_part_named() -> None:
    facts = call_well("doctor", "--json").json
    assert set(facts) == {"versions", "device", "cpu", "training_step", "extras"}
    assert set(facts["cpu"]) == {"kernels", "bf16", "int8"}
    assert any(step.endswith("(1.0x)") for step in facts["training_step"].values())
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert set(facts["extras"]) == set(extras) - {"dev"}
    for name, state in facts["extras"].items():
        missing = sorted(part for part in map(bare_name, extras[name]) if not is_installed(part))
        assert state.startswith(f"missing {', '.join(missing)}, for" if missing else "installed, for")
        assert (f"pip install 'ushape[{name}]'" in state) == bool(missing)


def bare_name(requirement: str) -> str:
    return re.split(r"[>\[]", requirement)[0]


def is_installed(package: str) -> bool:
    return any(found.name.lower() == package.lower() for found in importlib.metadata.distributions(name=package))
