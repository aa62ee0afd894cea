"""The scripts in examples/ run, on images so small that each takes seconds."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ushape.core.model_file import read_header

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = """
[net]
widths = [4, 8]
[patches]
size = [32, 32]
batch = 2
[predict.window]
size = [32, 32]
[train]
minutes = "none"
epochs = 1
steps_per_epoch = 2
precision = "float32"
layout = "contiguous"
threads = 1
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let threads not wait for each other over images that are this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_example(name: str, *arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_short() -> None:
    lengths = {path.name: path.read_text(encoding="utf-8").count("\n") for path in EXAMPLES.glob("*.py")}
    assert len(lengths) >= 3
    assert max(lengths.values()) <= 40, lengths


def test_one_trains_and_predicts_and_one_goes_through_a_folder(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out, images = tmp_path / "tiny.toml", tmp_path / "out", blobs / "images"
    recipe.write_text(TINY, encoding="utf-8")
    run_example("train_and_predict.py", blobs, images, out, recipe, monkeypatch=monkeypatch)
    model = out / "run" / "model.safetensors"
    assert read_header(model).members == 1
    told = capsys.readouterr().out
    assert "epoch 1 step 2" in told
    assert "case5.png (40, 48) background" in told
    (images / "broken.png").write_bytes(b"no picture")
    run_example("threshold_folder.py", model, images, tmp_path / "masks", "0.4", monkeypatch=monkeypatch)
    assert "broken.png" in capsys.readouterr().out
    lines = (tmp_path / "masks" / "shares.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 6
    assert len(list((tmp_path / "masks").glob("*.png"))) == 6


def test_a_loop_of_ones_own_learns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_example("own_loop.py", "12", monkeypatch=monkeypatch)
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 12
    assert min(losses[-3:]) < losses[0]
