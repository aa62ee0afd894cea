"""Compress: a smaller net from a model, by cutting channels or by teaching another net, trained as any other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ushape.core.config import with_fields
from ushape.core.events import Listener, Message
from ushape.core.files import write_json, write_text
from ushape.core.model_file import read_header, read_weights, write_model
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows.calibration import Trials, load_trials
from ushape.workflows.design import FitRequest
from ushape.workflows.fit import fit
from ushape.workflows.sizes import Size, measure_size, tell_size
from ushape.workflows.source import model_path
from ushape.workflows.stored import StoredModel, read_model


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


def read_request(request: CompressRequest, listener: Listener) -> tuple[StoredModel, Trials]:
    """Read the model and the cases that judge it."""
    stored = read_model(model_path(request.model))
    return stored, load_trials(request.data, stored.recipe, listener)


def train_smaller(
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
