"""Engines of other runtimes: chosen, measured and remembered; and every file that they cannot run is refused."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.cli.calling import call, call_well
from tests.test_architecture import WITHOUT_TORCH, run_python

from ushape.core.cache import Shelf
from ushape.core.errors import ConfigError, MissingExtra, ModelFileError, UshapeError
from ushape.core.exported import ExportPrecision
from ushape.core.files import read_json
from ushape.io.images import read_mask
from ushape.predict import openvino_engine
from ushape.predict.graph_engine import GraphEngine
from ushape.predict.onnx_engine import OnnxGraph
from ushape.predict.openvino_engine import open_graph
from ushape.workflows import speed
from ushape.workflows.foreign import Foreign
from ushape.workflows.model import load

RECIPE = """
[predict.window]
size = [48, 48]
[patches]
size = [32, 32]
"""


@pytest.fixture
def foreign(files: Path, tmp_path: Path) -> Path:
    """The same graph as if someone else had made it."""
    graph = onnx.load(str(files / "model.onnx"))
    del graph.metadata_props[:]
    onnx.save(graph, str(tmp_path / "foreign.onnx"))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "foreign.onnx"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(speed, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_every_engine_writes_the_same_masks(files: Path, blobs_data: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.onnx", "model.xml"):
        call_well("predict", files / name, blobs_data / "images", "-o", tmp_path / name)
    for mask in (tmp_path / "model.safetensors").iterdir():
        want = read_mask(mask)
        for name in ("model.onnx", "model.xml"):
            assert (read_mask(tmp_path / name / mask.name) == want).mean() > 0.99  # torch may compute in bf16


def test_an_onnx_file_runs_in_openvino_too(files: Path, blobs_data: Path) -> None:
    image = blobs_data / "images" / "case1.png"
    one, other = (load(files / "model.onnx", engine=name).predict(image) for name in ("onnx", "openvino"))
    assert np.abs(one.probabilities - other.probabilities).max() < 1e-3


def test_auto_measures_every_engine_once_and_remembers(
    recorded: None, files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = load(files / "model.safetensors", engine="auto").told
    assert all(name in told for name in ("torch", "onnx", "openvino", "ms"))
    ((key, times),) = read_json(cache / "engines.json").items()
    assert told.startswith(f"engine {min(times, key=times.get)} (")
    assert "onnxruntime" in key
    monkeypatch.setattr(speed, "time_engine", lambda *_: pytest.fail("measured again"))
    assert "measured earlier" in load(files / "model.safetensors", engine="auto").told
    assert len(list((cache / "exports").iterdir())) == 1


def test_auto_leaves_out_an_engine_that_is_not_installed_and_says_so(
    files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    told = load(files / "model.onnx", engine="auto").told
    assert told.startswith("engine onnx (")
    assert "pip install 'ushape[deploy]'" in told
    assert not (cache / "engines.json").exists()
    with pytest.raises(MissingExtra, match=r"needs openvino; pip install 'ushape\[deploy\]'"):
        load(files / "model.xml")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("model.onnx", {"engine": "torch"}, "--engine torch: cannot run .* choose one of: auto, onnx, openvino"),
        ("model.onnx", {"engine": "open-vino"}, "did you mean 'openvino'"),
        ("model.onnx", {"device": "meta"}, "engine onnx runs on the CPU only"),
    ],
)
def test_an_engine_that_does_not_go_with_the_file_is_refused(
    files: Path, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(files / name, **options)


def test_a_recipe_for_a_file_that_has_one_is_refused(files: Path) -> None:
    with pytest.raises(ConfigError, match="has a recipe of its own"):
        load(Foreign(files / "model.safetensors", "recipe.toml"))


def test_a_foreign_file_says_what_is_missing_and_runs_with_a_recipe(
    foreign: Path, files: Path, blobs_data: Path, tmp_path: Path
) -> None:
    said = call("predict", foreign, blobs_data, "-o", tmp_path / "out")
    assert said.code == 1
    assert "the classes and the size of a window are missing" in said.err
    assert "--recipe FILE" in said.err
    image = np.random.default_rng(0).standard_normal((1, 40, 44))
    got = load(Foreign(foreign, foreign.with_name("recipe.toml"))).predict(image)
    want = load(files / "model.onnx").predict(image)
    assert got.probabilities.shape == want.probabilities.shape
    call_well("predict", foreign, blobs_data, "-o", tmp_path / "out", "--recipe", foreign.with_name("recipe.toml"))


def test_a_foreign_file_that_ends_in_softmax_is_not_softened_twice(foreign: Path) -> None:
    recipe = foreign.with_name("recipe.toml")
    image = np.random.default_rng(0).standard_normal((1, 48, 48))
    want = load(Foreign(foreign, recipe)).predict(image)
    graph = onnx.load(str(foreign))
    graph.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph.graph.output[0].name = "probabilities"
    onnx.save(graph, str(foreign))
    assert np.abs(load(Foreign(foreign, recipe)).predict(image).probabilities - want.probabilities).max() < 1e-5


def test_a_recipe_that_does_not_go_with_a_foreign_file_is_refused(foreign: Path) -> None:
    recipe = foreign.with_name("recipe.toml")
    for text, message in (
        ("[net]\nin_channels = 3\n[data]\nchannels = 3\n", "3 channels, as --recipe says, got 2 axes and 1 channels"),
        (
            '[net]\nclasses = 3\n[data.labels]\nnames = ["a", "b", "c"]\nvalues = [0, 1, 2]\n',
            "expected 3 outputs, as --recipe says, got 2",
        ),
    ):
        recipe.write_text(RECIPE + text)
        with pytest.raises(ModelFileError, match=message):
            load(Foreign(foreign, recipe))


def test_damaged_files_are_refused(files: Path, tmp_path: Path) -> None:
    content = (files / "model.onnx").read_bytes()
    damaged = {
        "cut.onnx": content[: len(content) // 2],
        "text.onnx": b"hello " * 50,
        "empty.onnx": b"",
        "text.xml": b"<a>",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "text.bin").write_bytes(b"")
    shutil.copy(files / "model.xml", tmp_path / "lonely.xml")
    for name in (*damaged, "absent.onnx", "absent.xml", "lonely.xml"):
        with pytest.raises(UshapeError, match=rf"{name}: .*(damaged|expected)"):
            load(tmp_path / name)


def test_an_operator_that_the_runtime_lacks_is_named(files: Path, tmp_path: Path) -> None:
    graph = onnx.load(str(files / "model.onnx"))
    graph.graph.node.append(onnx.helper.make_node("Wobble", ["logits"], ["wobbled"], domain="com.example"))
    graph.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    graph.graph.output[0].name = "wobbled"
    onnx.save(graph, str(tmp_path / "strange.onnx"))
    for engine in ("onnx", "openvino"):
        with pytest.raises(ModelFileError, match="Wobble"):
            load(tmp_path / "strange.onnx", engine=engine)


def test_a_graph_of_a_fixed_batch_takes_any_number_of_windows(files: Path, tmp_path: Path) -> None:
    graph = onnx.load(str(files / "model.onnx"))
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(graph, str(tmp_path / "two.onnx"))
    windows = np.random.default_rng(0).standard_normal((5, 1, 32, 40), dtype=np.float32)
    got = GraphEngine(OnnxGraph(tmp_path / "two.onnx"), 2)(windows)
    assert np.abs(got - GraphEngine(OnnxGraph(files / "model.onnx"), 2)(windows)).max() < 1e-5


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shapes that OpenVINO compiles for, one after the other."""
    shapes: list[str] = []
    plain = openvino_engine.compile_model

    def compile_noted(model: Any, options: Any, where: str) -> Any:
        shapes.append(str(model.input(0).partial_shape))
        return plain(model, options, where)

    monkeypatch.setattr(openvino_engine, "compile_model", compile_noted)
    return shapes


@pytest.mark.parametrize(
    ("precision", "further"), [("fp32", ["[?,1,?,?]"]), ("int8", ["[1,1,20,24]", "[1,1,21,24]", "[1,1,17,24]"])]
)
def test_openvino_compiles_for_few_shapes_at_a_time_in_integers_never_for_any_and_gives_the_same_at_all(
    precision: ExportPrecision, further: list[str], files: Path, compiled: list[str]
) -> None:
    rng = np.random.default_rng(0)
    graph, other = open_graph(files / "model.xml", precision, 1), OnnxGraph(files / "model.onnx")
    for size in (16, 17, 18, 19, 16, 20, 21, 16, 17):
        windows = rng.standard_normal((1, 1, size, 24), dtype=np.float32)
        assert np.abs(graph.run(windows) - other.run(windows)).max() < 1e-4
    assert compiled == ["[1,1,16,24]", "[1,1,17,24]", "[1,1,18,24]", "[1,1,19,24]", *further]


def test_what_openvino_compiled_is_taken_from_the_shelf_and_anew_where_it_is_damaged_or_another_s(
    files: Path, tmp_path: Path, compiled: list[str]
) -> None:
    file, shelf = tmp_path / "model.xml", Shelf(tmp_path / "shelf")
    for name in ("model.xml", "model.bin"):
        shutil.copy(files / name, tmp_path)
    windows = np.random.default_rng(0).standard_normal((1, 1, 16, 24), dtype=np.float32)

    def run(threads: int = 1) -> np.ndarray:
        return open_graph(file, "fp32", threads, shelf).run(windows)

    want = run()
    assert (run() == want).all()
    assert len(compiled) == 1
    run(threads=2)
    assert len(compiled) == 2
    for kept in shelf.folder.iterdir():
        kept.write_bytes(kept.read_bytes()[:-100])
    assert (run() == want).all()
    assert len(compiled) == 3
    place = re.search(r'conv\.weight".*?offset="(\d+)"', file.read_text(), re.DOTALL)
    assert place
    weights = np.fromfile(file.with_suffix(".bin"), np.uint8)
    weights[int(place[1]) + 3] ^= 0x80  # the sign of one weight
    weights.tofile(file.with_suffix(".bin"))
    assert (run() != want).any()
    assert len(compiled) == 4


def test_info_tells_of_exported_files_without_torch(files: Path) -> None:
    run_python(WITHOUT_TORCH, "info model.onnx", "info model.xml --json", folder=files)
    told = call_well("info", files / "model.xml", "--json").json
    assert told["export"]["precision"] == "fp32"
    assert len(told["export"]["parity"]) == 3


def test_exported_files_predict_without_torch(files: Path, blobs_data: Path) -> None:
    image = blobs_data / "images" / "case1.png"
    lines = [f"predict {name} {image} -o {files / 'masks'}{name} --mirror" for name in ("model.onnx", "model.xml")]
    run_python(WITHOUT_TORCH, *lines, folder=files)


def test_nothing_is_kept_to_be_sent_to_the_makers_of_the_runtimes(files: Path, tmp_path: Path) -> None:
    names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    silent = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    code = (
        "import pathlib, sys\n"
        "from ushape.predict.onnx_engine import OnnxGraph\n"
        "from ushape.predict.runtimes import import_openvino\n"
        "OnnxGraph(pathlib.Path(sys.argv[1]))\n"
        "import_openvino('a test')\n"
        "assert 'stub' in sys.modules['openvino.tools.ovc.telemetry_utils'].tm.__name__"
    )
    command = [sys.executable, "-c", code, str(files / "model.onnx")]
    subprocess.run(command, check=True, env={**silent, **dict.fromkeys(names, str(tmp_path))})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_ctrl_c_after_models_of_openvino_were_closed_is_an_interrupt(files: Path) -> None:
    code = (
        "import pathlib, signal, sys\n"
        "from ushape.predict.openvino_engine import open_graph\n"
        "import numpy as np\n"
        "opened = [open_graph(pathlib.Path(sys.argv[1]), 'fp32', 1) for _ in range(3)]\n"
        "for graph in opened:\n"
        "    graph.run(np.zeros((1, 1, 32, 32), np.float32))\n"
        "while opened:\n"
        "    del graph, opened[0]\n"
        "    graph = None\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')"
    )
    command = [sys.executable, "-c", code, str(files / "model.xml")]
    assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == "interrupted\n"
