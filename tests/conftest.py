"""What all tests share: where the real images lie, and a small synthetic data set."""

import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with Ctrl-C ignored
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # tests that import ONNX Runtime by themselves
CACHE = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = CACHE.name  # what tests keep for later is not the user's
HERE = Path(__file__).parent
CALM = settings(  # a busy machine is no failure, and what passed once passes again
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("calm", CALM)
settings.load_profile("calm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", default=str(HERE.parents[1] / "shared" / "data"), help="folder of real images")


@pytest.fixture(scope="session")
def data_root(request: pytest.FixtureRequest) -> Path:
    folder = Path(request.config.getoption("--data"))
    if not folder.is_dir():
        pytest.skip(f"no real images in {folder}")
    return folder


def write_blobs(folder: Path, count: int = 6, size: tuple[int, int] = (40, 48), *, value: int = 255) -> Path:
    """Bright discs on a noisy ground: a data set that the smallest net learns in seconds."""
    rng = np.random.default_rng(5)
    rows, cols = np.indices(size)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        centre, radius = rng.uniform(12, 28, 2), rng.uniform(6, 10)
        disc = (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 < radius**2
        image = np.clip(60 + 90 * disc + rng.normal(0, 12, size), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"case{i}.png")
        Image.fromarray((disc * value).astype(np.uint8)).save(folder / "masks" / f"case{i}.png")
    return folder


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return write_blobs(tmp_path / "blobs")
