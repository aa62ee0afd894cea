"""Several model files as one: the mean of all their networks, if they see and say the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ushape.core.errors import ConfigError
from ushape.core.model_file import ModelHeader, join_members, write_model
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows.model import load

IMAGE = np.random.default_rng(0).normal(size=(1, 40, 50)).astype(np.float32)


def write(path: Path, *seeds: int, **tables: object) -> Path:
    recipe = Recipe.model_validate({"net": {"widths": [4, 8]}, **tables})
    members = []
    for seed in seeds:
        torch.manual_seed(seed)
        members.append(UNet(recipe.net).state_dict())
    write_model(path, join_members(members), ModelHeader(to_toml(recipe, {}), len(members)))
    return path


def probabilities(*models: Path) -> np.ndarray:
    found = load(models, device="cpu").predict(IMAGE).probabilities
    assert found is not None
    return found


def test_different_networks_in_several_files_count_alike(tmp_path: Path) -> None:
    pair = write(tmp_path / "pair.safetensors", 1, 2)
    other = write(tmp_path / "other.safetensors", 3, net={"widths": [4, 8, 12], "up": "transpose"})
    apart = [probabilities(write(tmp_path / f"{seed}.safetensors", seed)) for seed in (1, 2)]
    together = probabilities(pair, other)
    np.testing.assert_allclose(together, np.mean([*apart, probabilities(other)], axis=0), atol=1e-5)
    assert np.abs(together - apart[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        ({"data": {"labels": {"values": [0, 1]}}}, r"data\.labels"),
        ({"prep": {"intensity": "none"}}, "prep"),
        ({"data": {"channels": 3}, "net": {"widths": [4, 8], "in_channels": 3}}, r"data\.channels"),
    ],
)
def test_models_that_see_or_say_other_things_are_refused(tmp_path: Path, tables: dict, what: str) -> None:
    files = write(tmp_path / "a.safetensors", 1), write(tmp_path / "b.safetensors", 1, **tables)
    with pytest.raises(ConfigError, match=rf"b\.safetensors: expected the same {what} as .*a\.safetensors, got"):
        load(files)
