"""What is no model file is refused by its name."""

from pathlib import Path

import pytest

from ushape.core.errors import ModelFileError
from ushape.workflows.model import load


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"\xff" * 100, b"\x10" + b"\0" * 7 + b"{}" + b" " * 14]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"thing\.safetensors: "):
        load(path)


def test_a_missing_model_is_told_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"expected a model file, found none; give the model\.safetensors of a run"
    ):
        load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ModelFileError, match=r"model\.safetensors: expected a model file"):
        load(tmp_path)
