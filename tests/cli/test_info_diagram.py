"""`ushape info --diagram`: of presets, models and runs; and what is wrong when it cannot draw."""

from pathlib import Path

import pytest
import torch
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


def test_the_table_of_a_preset_adds_up_and_says_the_same_in_words() -> None:
    asked = ("info", "preset:attention-3d", "--size", "64,64,64")
    said, told = call_well(*asked).out, call_well(*asked, "--json").json
    rows = {row["stage"]: row for row in told["layers"]}
    assert [told[total] for total in ("parameters", "trainable", "macs")] == [
        sum(row[total] for row in rows.values()) for total in ("parameters", "trainable", "macs")
    ]
    assert rows["decoder.0.join.gate"]["operation"] == "attention gate"
    assert rows["heads.0"]["shape"] == [1, 2, 64, 64, 64]
    assert rows["heads.0"]["macs"] == 2 * 16 * 64**3
    assert rows["heads.0"]["receptive_field"] == told["receptive_field"] == [236.0] * 3
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert lines["stage"] == ["stage", "operation", "output", "parameters", "MACs", "sees"]
    assert rows.keys() <= lines.keys()
    assert lines["heads.0"][-5:] == ["2x64x64x64", "34", "8.39", "M", "236x236x236"]
    total = " ".join(said.split())
    assert "5,396,346 parameters (5,396,346 trainable), 14.7 G MACs, sees 236x236x236 voxels" in total
    assert f"about {told['activation_bytes'] / 2**20:.0f} MB per image in float32" in total


def test_no_weight_is_made_for_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    made = set()
    keep = torch.nn.Parameter.__new__
    monkeypatch.setattr(
        torch.nn.Parameter, "__new__", lambda *given, **named: made.add(given[1].device.type) or keep(*given, **named)
    )
    call_well("info", "preset:tiny")
    assert made == {"meta"}


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
