"""A file is written whole or not at all."""

from pathlib import Path

import pytest
import torch

from ushape.core.errors import ModelFileError, OutputError
from ushape.core.files import atomic_path, write_text
from ushape.core.model_file import ModelHeader, read_header, read_weights, write_model

HEADER = ModelHeader(recipe="version = 1", provenance={"seed": 3}, score={"dice": 0.5}, parameters=4)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another place"):
        write_text(tmp_path / "file" / "inside.txt", "text")


def test_a_model_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    weights = {"a": torch.arange(4.0), "b": torch.tensor(3)}
    write_model(tmp_path / "m.safetensors", weights, HEADER)
    assert read_header(tmp_path / "m.safetensors") == HEADER
    read = read_weights(tmp_path / "m.safetensors")
    assert all(torch.equal(read[key], weights[key]) for key in weights)


def test_a_channels_last_weight_comes_back_with_its_values(tmp_path: Path) -> None:
    weight = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    write_model(tmp_path / "m.safetensors", {"w": weight}, HEADER)
    assert torch.equal(read_weights(tmp_path / "m.safetensors")["w"], weight)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", b"\x05\0\0\0\0\0\0\0hello"])
def test_a_file_that_is_no_model_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.safetensors"):
        read_header(path)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="expected a model file, found none"):
        read_header(tmp_path / "none.safetensors")


def test_a_model_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model(path, {"a": torch.zeros(100)}, HEADER)
    path.write_bytes(path.read_bytes()[:-50])
    assert read_header(path) == HEADER
    with pytest.raises(ModelFileError, match="damaged weights"):
        read_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_and_large_ones_are_not(tmp_path: Path, value: float) -> None:
    large = torch.full((9,), 60000.0, dtype=torch.float16)  # whose sum float16 cannot hold
    path = tmp_path / "m.safetensors"
    write_model(path, {"a": torch.zeros(3), "b": large}, HEADER)
    assert torch.equal(read_weights(path)["b"], large)
    write_model(path, {"a": torch.zeros(3), "b": torch.tensor([1.0, value, -value])}, HEADER)
    with pytest.raises(ModelFileError, match=r"m\.safetensors: expected finite weights, got .* 1 of 2 tensors"):
        read_weights(path)


def test_a_model_of_a_newer_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ushape.core.model_file.FORMAT_VERSION", 99)
    write_model(tmp_path / "m.safetensors", {"a": torch.zeros(1)}, HEADER)
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="model format 99"):
        read_header(tmp_path / "m.safetensors")
