"""A few steps on real images: that every file of them is understood, not how good a model gets."""

from pathlib import Path

import pytest
from tests.train.tiny import Heard, fit_tiny

from ushape.core.errors import DataError
from ushape.core.events import Message
from ushape.io.images import read_image, read_mask
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import predict_files
from ushape.workflows.model import load

FEW = {"train.epochs": 1, "train.steps_per_epoch": 2, "predict.window.size": [128, 128], "predict.window.batch": 8}


@pytest.fixture
def isbi(data_root: Path) -> Path:
    return need(data_root / "isbi2012")


@pytest.fixture
def nuclei(data_root: Path, tmp_path: Path) -> Path:
    """Every fortieth image, linked."""
    source, subset = need(data_root / "dsb2018"), tmp_path / "nuclei"
    images = sorted((source / "images").iterdir())[::40]
    for kind in ("images", "labels"):
        (subset / kind).mkdir(parents=True)
    for image in images:
        (label,) = (source / "labels").glob(f"{image.stem}.*")
        (subset / "images" / image.name).symlink_to(image)
        (subset / "labels" / label.name).symlink_to(label)
    return subset


def need(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


@pytest.mark.slow
def test_membranes_train_and_are_predicted_on_their_own_pixels(isbi: Path, tmp_path: Path) -> None:
    run = fit_tiny(isbi, tmp_path / "run", FEW)
    image = min((isbi / "images").iterdir())
    (mask,) = predict_files(load(run.path), image, tmp_path / "out", OutputOptions()).written
    assert read_mask(mask).shape == read_image(image).shape[1:]


@pytest.mark.slow
def test_nuclei_say_that_they_are_instances_and_train_as_foreground(nuclei: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"looks like an instance map.*use ushape train --foreground"):
        fit_tiny(nuclei, tmp_path / "refused", FEW)
    heard = Heard()
    run = fit_tiny(nuclei, tmp_path / "run", FEW, heard, foreground=True)
    assert "trained as foreground against background" in heard.of(Message)[1].text
    result = predict_files(load(run.path), nuclei, tmp_path / "out", OutputOptions(overlays=True))
    assert not result.failed
    assert len(result.written) == len(list((nuclei / "images").iterdir()))
