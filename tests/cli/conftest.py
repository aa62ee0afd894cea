"""A trained model for all tests of the command line."""

from pathlib import Path

import pytest
from tests.cli.calling import TINY_OPTIONS, call_well
from tests.conftest import write_blobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `blobs`, a data set, and `run`, a finished run on it. Read only."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_blobs(folder / "blobs")
    call_well("train", data, "-o", folder / "run", *TINY_OPTIONS, "--set", "train.steps_per_epoch=10")
    return folder
