"""Compress: a smaller net from a model, by cutting channels or by teaching another net, trained as any other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ushape.core.config import with_fields
from ushape.core.errors import ConfigError
from ushape.core.events import Listener, Message
from ushape.core.files import write_json, write_text
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.deploy.importance import rank_channels
from ushape.deploy.prune import narrow_config, prune
from ushape.nets.presets import preset
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows.calibration import Trials, load_trials
from ushape.workflows.design import FitRequest
from ushape.workflows.fit import fit
from ushape.workflows.sizes import Size, measure_size, tell_size
from ushape.workflows.stored import StoredModel, model_path, read_model

WINDOWS = 8
"""How many windows of the training cases say which channels matter."""


@dataclass(frozen=True)
class CompressRequest:
    """What a user asks of a compression.

    Attributes:
        output: the run folder of the training.
        changes: dotted recipe fields to values; they have the last word.
    """

    model: Path
    data: Path
    output: Path
    minutes: float = 2.0
    changes: Mapping[str, Any] = field(default_factory=dict)


def prune_model(request: CompressRequest, keep: float, listener: Listener) -> tuple[Path, list[Size]]:
    """Cut a model's channels down to a share of each level's, and fine-tune what is left.

    Returns:
        The run folder, and the sizes before, cut, and after.
    Raises:
        ConfigError: the model is an ensemble, or its net cannot be cut so.
    """
    stored, trials = _read(request, listener)
    if len(stored.nets) > 1:
        raise ConfigError(f"{request.model}: expected one network, got an ensemble; teach one net instead: distil")
    config = narrow_config(stored.recipe.net, keep)
    windows = trials.windows(stored.reference())[:WINDOWS]
    small: Any = prune(stored.nets[0], config, rank_channels(stored.nets[0], windows))  # type: ignore[arg-type]
    recipe = stored.recipe.model_copy(update={"net": config})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pruned.safetensors"
        parameters = sum(weight.numel() for weight in small.parameters())
        write_model(file, small.state_dict(), replace(stored.header, recipe=to_toml(recipe, {}), parameters=parameters))
        sizes = [measure_size("before", stored, trials), measure_size("cut", read_model(file), trials)]
        tuned = {"train.start": str(file), "train.teacher": "none"}
        return _train(request, recipe, tuned, (sizes, {"method": "prune", "keep": keep}), (trials, listener))


def distil_model(request: CompressRequest, student: str, listener: Listener) -> tuple[Path, list[Size]]:
    """Teach a named net what a model knows: its logits, and where it looks, beside the labels.

    Returns:
        The run folder, and the sizes before and after.
    Raises:
        ConfigError: there is no net of that name for these images.
    """
    stored, trials = _read(request, listener)
    net = stored.recipe.net
    config = preset(student, in_channels=net.in_channels, classes=net.classes, ndim=net.ndim)
    recipe = stored.recipe.model_copy(update={"net": config})
    taught = {"train.start": "none", "train.teacher": str(model_path(request.model).resolve())}
    sizes = [measure_size("before", stored, trials)]
    return _train(request, recipe, taught, (sizes, {"method": "distil", "student": student}), (trials, listener))


def _read(request: CompressRequest, listener: Listener) -> tuple[StoredModel, Trials]:
    stored = read_model(model_path(request.model))
    return stored, load_trials(request.data, stored.recipe, listener)


def _train(
    request: CompressRequest,
    recipe: Recipe,
    changes: Mapping[str, Any],
    told: tuple[list[Size], Mapping[str, Any]],
    watched: tuple[Trials, Listener],
) -> tuple[Path, list[Size]]:
    """Train the smaller net, measure it, and note in its file and its folder what it came from."""
    (sizes, method), (trials, listener) = told, watched
    own = {**changes, "train.minutes": request.minutes, "data.fold": "share", **request.changes}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.toml"
        write_text(file, to_toml(with_fields(recipe, {}, "recipe"), {}))
        run = fit(FitRequest(request.data, request.output, file, own), listener)
    sizes = [*sizes, measure_size("after", read_model(run.model), trials)]
    header, record = read_header(run.model), {**method, "sizes": [asdict(size) for size in sizes]}
    provenance = {**(header.provenance or {}), "compression": record}
    write_model(run.model, read_weights(run.model), replace(header, provenance=provenance))
    write_json(run.path / "compression.json", record)
    for size in sizes:
        listener(Message(tell_size(size, sizes[0], len(trials.scoring))))
    return run.path, sizes
