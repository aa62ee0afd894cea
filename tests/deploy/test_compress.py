"""Smaller models by two ways: ordinary files with their history, ready for every other verb."""

from pathlib import Path

import pytest
from tests.cli.calling import call, call_well
from tests.train.tiny import TINY, cli_arguments

from ushape.core.files import read_json
from ushape.core.model_file import read_header
from ushape.nets.config import UNetConfig
from ushape.nets.memory import Numerics, prediction_peak
from ushape.nets.unet import UNet
from ushape.plan.recipe import read_recipe
from ushape.workflows.model import load

SHORT = cli_arguments(
    {name: value for name, value in TINY.items() if name.startswith("train.")} | {"train.minutes": '"none"'}
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "widths"), [(("prune", "--keep", 0.5), (4, 6, 8)), (("distil", "--student", "tiny"), (8, 16, 32, 64))]
)
def test_a_model_is_made_smaller_and_its_file_says_how(
    method: tuple[object, ...], widths: tuple[int, ...], learnt: Path, blobs_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    said = call_well("compress", learnt, *method, "--data", blobs_data, "-o", run, "--json", *SHORT).json
    header = read_header(run / "model.safetensors")
    recipe = read_recipe(header.recipe, "file")
    assert recipe.net.widths == widths
    assert recipe.data == read_recipe(read_header(learnt).recipe, "model").data
    record = header.provenance["compression"]
    assert record == read_json(run / "compression.json")
    assert record["method"] == method[0]
    assert said["sizes"] == record["sizes"]
    before, *_, after = record["sizes"]
    assert after["parameters"] == header.parameters != before["parameters"]
    assert str(tmp_path) not in header.recipe
    assert load(run).predict(blobs_data / "images" / "case1.png").label.shape == (40, 48)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prune", "--keep", 1.5), "expected a share between 0 and 1"),
        (("shrink",), "unknown method 'shrink'"),
        (("distil", "--student", "tny"), "did you mean 'tiny'"),
    ],
)
def test_a_compression_that_is_called_wrongly_is_refused(
    arguments: tuple[object, ...], message: str, learnt: Path, blobs_data: Path, tmp_path: Path
) -> None:
    said = call("compress", learnt, *arguments, "--data", blobs_data, "-o", tmp_path / "run")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_images_is_refused(learnt: Path, blobs_data: Path, tmp_path: Path) -> None:
    other = ("--set", f"train.teacher={learnt}", "--set", "data.channels=3", "--set", "net.in_channels=3")
    said = call("train", blobs_data, "-o", tmp_path / "run", *SHORT, *other)
    assert said.code == 2
    assert "expected a model with net.in_channels 3, got 1" in said.err


def test_the_peak_of_memory_is_that_of_the_finest_level() -> None:
    """Twice as many voxels need twice the activations; twice the widths twice that, and four times the weights."""
    config, last = UNetConfig(widths=(8, 16)), Numerics(channels_last=True)
    small, large = (prediction_peak(config, (1, 1, 64, side), UNet.forward, last).tensors for side in (64, 128))
    weights = 4 * sum(each.numel() for each in _parameters(config))
    assert (large - weights) == pytest.approx(2 * (small - weights), rel=0.01)


def _parameters(config: UNetConfig) -> list:
    return list(UNet(config).parameters())
