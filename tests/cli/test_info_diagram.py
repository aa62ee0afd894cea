"""`ushape info --diagram`: of presets, models and runs; and what is wrong when it cannot draw."""

from pathlib import Path

import pytest
from tests.cli.calling import call, call_well


def test_a_preset_is_drawn_beside_its_layer_table(tmp_path: Path) -> None:
    said = call_well("info", "preset:tiny", "--ndim", 3, "--size", "16,32,32", "--diagram", tmp_path / "net.svg")
    assert said.out.rstrip().endswith(f"diagram: {tmp_path / 'net.svg'}")
    assert "conv 3x3x3" in said.out
    svg = (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert "16x32x32".replace("x", "\N{MULTIPLICATION SIGN}") in svg
    assert ">tiny</text>" in svg


def test_the_table_as_json_stays_json_beside_a_diagram(tmp_path: Path) -> None:
    said = call_well("info", "preset:tiny", "--json", "--size", "32,32", "--diagram", tmp_path / "net.svg")
    assert said.json["preset"] == "tiny"
    assert (tmp_path / "net.svg").is_file()


def test_a_model_and_its_run_are_drawn_from_their_recipe(finished: Path, tmp_path: Path) -> None:
    run = finished / "run"
    said = call_well("info", run / "model.safetensors", "--diagram", tmp_path / "model.svg")
    assert f"diagram: {tmp_path / 'model.svg'}" in said.out
    call_well("info", run, "--diagram", tmp_path / "run.svg", "--size", "48,64")
    assert "one output can see 20²" in (tmp_path / "model.svg").read_text(encoding="utf-8")
    assert "48\N{MULTIPLICATION SIGN}64" in (tmp_path / "run.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("preset:tiny", "--diagram", "net.png"), 2, "--diagram net.png: expected a file that ends in .svg"),
        (("preset:tiny", "--ndim", "4"), 2, "--ndim 4: expected 2 or 3"),
        (("preset:vgg16", "--ndim", "3"), 2, "preset vgg16: expected ndim 2, got 3"),
        (("preset:tiny", "--ndim", "3", "--size", "8,8"), 2, "--size 8,8: expected 3 whole numbers"),
        (("RUN", "--ndim", "2"), 2, "--ndim 2: expected preset:NAME with it"),
        (("DATA", "--diagram", "net.svg"), 1, "a data set has no network to draw"),
        (("preset:tiny", "--diagram", "DATA/images/case0.png/net.svg"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    arguments: tuple[str, ...], code: int, said: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"RUN": finished / "run", "DATA": finished / "blobs"}
    filled = [str(places[each]) if each in places else each.replace("DATA", str(places["DATA"])) for each in arguments]
    called = call("info", *filled)
    assert called.code == code
    assert said in called.err
    assert not list(tmp_path.iterdir())
