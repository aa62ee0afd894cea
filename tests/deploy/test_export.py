"""Exported files do what the model does, at every size, and say of themselves all that is needed to predict."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests.cli.calling import call_well
from tests.deploy.conftest import unchecked_shapes, write_random

from ushape.core.errors import ConfigError, ExportError
from ushape.core.exported import ExportPrecision
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.deploy import parity
from ushape.plan.usage import read_usage
from ushape.predict.exported import read_export
from ushape.predict.openvino_engine import OpenVinoGraph
from ushape.workflows import formats
from ushape.workflows.export import ExportRequest, export
from ushape.workflows.model import Model, load
from ushape.workflows.runtime import Running
from ushape.workflows.stored import read_model

FLAT = {"net.widths": [4, 6, 8], "predict.window.size": [40, 48]}
SOLID = {
    "net.ndim": 3,
    "net.widths": [4, 6],
    "net.skip": "gate",
    "net.up": "linear",
    "net.strides": [[1, 1, 1], [1, 2, 2]],
    "patches.size": [8, 16, 16],
    "predict.window.size": [8, 20, 18],
}
UNPADDED = {
    "net.widths": [4, 6],
    "net.block.padding": "valid",
    "net.block.norm": "none",
    "net.align": "crop",
    "predict.window.size": [44, 44],
    "patches.size": [44, 44],
}
TRANSFORMER = {
    **FLAT,
    "patches.size": [40, 48],
    "net.bottleneck": "transformer",
    "net.transformer": {"width": 8, "depth": 1, "heads": 2, "hidden": 16, "grid": 3},
}
CASES: list[tuple[str, ExportPrecision, dict[str, Any]]] = [
    ("onnx", "fp16", {**FLAT, "net.classes": 1, "head": "sigmoid"}),
    ("openvino", "bf16", FLAT),
    ("openvino", "fp32", SOLID),
    ("onnx", "fp32", UNPADDED),
    ("onnx", "fp32", TRANSFORMER),
]
WORST = {"fp32": 1e-3, "fp16": 5e-3, "bf16": 0.2}


def in_torch(file: Path) -> Model:
    stored = read_model(file)
    return Model(Running(read_usage(stored.header.recipe, "file"), stored.reference()), stored.recipe.predict)


@pytest.mark.slow
@pytest.mark.parametrize(("to", "precision", "changes"), CASES)
def test_a_file_alone_predicts_what_the_model_predicts(
    to: str, precision: ExportPrecision, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = write_random(tmp_path / "model.safetensors", changes)
    written, facts = export(ExportRequest(model, to, precision))
    assert len({each.size for each in facts.parity}) == 3
    assert {each.batch for each in facts.parity} == {1, 2, 3}
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    for file in written.parent.glob(f"{written.stem}.*"):
        if file != model:
            file.rename(alone / file.name)
    rng = np.random.default_rng(1)
    for size in ((37, 61), (90, 85)):
        image = rng.normal(100, 20, (1, *(9,) * (len(changes["predict.window.size"]) - 2), *size)).astype(np.float32)
        got, want = load(alone / written.name).predict(image), in_torch(model).predict(image)
        assert np.abs(got.probabilities - want.probabilities).max() < WORST[precision]


def test_a_file_s_metadata_are_the_model_s_header_and_the_comparison(files: Path) -> None:
    for name, precision in (("model.onnx", "onnx"), ("model.xml", "openvino")):
        header, facts = read_export(files / name)
        assert header == read_header(files / "model.safetensors")
        assert header.score["mean"] > 0.5
        assert (facts.format, facts.precision, facts.window) == (precision, "fp32", ())
        assert [each.size for each in facts.parity] == [(48, 48), (33, 25), (13, 33)]
        assert all(each.worst < 1e-3 for each in facts.parity)


def test_an_exported_file_tells_how_many_weights_it_has_though_its_model_did_not(tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.safetensors", {})
    assert read_header(model).parameters == 0
    exported, _ = export(ExportRequest(model, "openvino"))
    weights = read_model(model).nets[0].parameters()
    told = call_well("info", exported, "--json").json
    assert told["parameters"] == sum(weight.numel() for weight in weights) > 0


def test_graphs_are_of_opset_18_or_later(files: Path) -> None:
    (own,) = [each.version for each in onnx.load(str(files / "model.onnx")).opset_import if not each.domain]
    assert own >= 18


def test_what_fails_the_comparison_is_not_written(
    recorded: None, learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = OpenVinoGraph.run
    monkeypatch.setattr(OpenVinoGraph, "run", lambda self, windows: planted(self, windows) * 1.1)
    with pytest.raises(ExportError, match=r"nothing was written"):
        export(ExportRequest(learnt, "openvino", output=tmp_path / "net.xml"))
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_none_fail_the_comparison() -> None:
    bad = parity.Parity((4, 4), 1, float("nan"), 0.0)
    with pytest.raises(ExportError, match="nan"):
        parity.check_parity([bad, replace(bad, worst=0.0)], "fp32")


def test_a_net_that_allows_one_size_only_is_exported_for_it_and_says_so(
    learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = formats.make_graph

    def refuse(*arguments: Any, dynamic: bool) -> Any:
        if dynamic:
            raise ExportError("sizes are frozen")
        return make(*arguments, dynamic=False)

    monkeypatch.setattr(formats, "make_graph", refuse)
    told: list[Any] = []
    path, facts = export(ExportRequest(learnt, "onnx", output=tmp_path / "net.onnx"), told.append)
    assert facts.window == (48, 48)
    assert "for windows of 48x48 only (sizes are frozen)" in told[0].text
    model = load(path)
    assert model.engine.window == (48, 48)
    image = np.random.default_rng(0).normal(60, 12, (1, 100, 31))
    image[:, 20:40, 5:25] += 90
    got, want = model.predict(image).label, in_torch(learnt).predict(image).label
    assert (got == want).mean() > 0.95


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "bf16"}, "ONNX Runtime has no bf16 convolutions"),
        ({"precision": "int8"}, "expected both or neither"),
        ({"output": Path("net.xml")}, r"expected a name that ends in \.onnx"),
        ({"to": "onxn"}, "did you mean 'onnx'"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_at_once(learnt: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        export(replace(ExportRequest(learnt, "onnx"), **changes))


def test_an_ensemble_is_refused_with_the_way_to_one_network(learnt: Path, tmp_path: Path) -> None:
    weights = {f"members.{k}.{key}": value for k in range(2) for key, value in read_weights(learnt).items()}
    write_model(tmp_path / "two.safetensors", weights, replace(read_header(learnt), members=2))
    with pytest.raises(ExportError, match=r"an ensemble of 2; make one of it: ushape compress .* distil"):
        export(ExportRequest(tmp_path / "two.safetensors", "onnx"))


def test_an_export_leaves_the_net_as_it_was() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)).train()
    with unchecked_shapes():
        formats.make_graph(net, 1, (8, 8), dynamic=False)
    assert net.training
