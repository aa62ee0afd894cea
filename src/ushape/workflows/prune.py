"""Prune: cut a model's channels down, and train on."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ushape.core.errors import ConfigError
from ushape.core.events import Listener
from ushape.core.model_file import write_model
from ushape.deploy.importance import rank_channels
from ushape.deploy.prune import narrow_config, prune
from ushape.plan.recipe import to_toml
from ushape.workflows.compress import CompressRequest, read_request, train_smaller
from ushape.workflows.sizes import Size, measure_size
from ushape.workflows.stored import read_model

WINDOWS = 8
"""How many windows of the training cases say which channels matter."""


def prune_model(request: CompressRequest, keep: float, listener: Listener) -> tuple[Path, list[Size]]:
    """Cut a model's channels down to a share of each level's, and fine-tune what is left.

    Returns:
        The run folder, and the sizes before, cut, and after.
    Raises:
        ConfigError: the model is an ensemble, or its net cannot be cut so.
    """
    stored, trials = read_request(request, listener)
    if len(stored.nets) > 1:
        raise ConfigError(f"{request.model}: expected one network, got an ensemble; teach one net instead: distil")
    config = narrow_config(stored.recipe.net, keep)
    windows = trials.windows(stored.reference())[:WINDOWS]
    small: Any = prune(stored.nets[0], config, rank_channels(stored.nets[0], windows))
    recipe = stored.recipe.model_copy(update={"net": config})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pruned.safetensors"
        parameters = sum(weight.numel() for weight in small.parameters())
        write_model(file, small.state_dict(), replace(stored.header, recipe=to_toml(recipe, {}), parameters=parameters))
        sizes = [measure_size("before", stored, trials), measure_size("cut", read_model(file), trials)]
        tuned = {"train.start": str(file), "train.teacher": "none"}
        return train_smaller(request, recipe, tuned, (sizes, {"method": "prune", "keep": keep}), (trials, listener))
