"""Distil: teach a smaller net what a model knows."""

from __future__ import annotations

from pathlib import Path

from ushape.core.events import Listener
from ushape.nets.presets import preset
from ushape.workflows.compress import CompressRequest, read_request, train_smaller
from ushape.workflows.sizes import Size, measure_size
from ushape.workflows.source import model_path


def distil_model(request: CompressRequest, student: str, listener: Listener) -> tuple[Path, list[Size]]:
    """Teach a named net what a model knows: its logits, and where it looks, beside the labels.

    Returns:
        The run folder, and the sizes before and after.
    Raises:
        ConfigError: there is no net of that name for these images.
    """
    stored, trials = read_request(request, listener)
    net = stored.recipe.net
    config = preset(student, in_channels=net.in_channels, classes=net.classes, ndim=net.ndim)
    recipe = stored.recipe.model_copy(update={"net": config})
    taught = {"train.start": "none", "train.teacher": str(model_path(request.model).resolve())}
    sizes = [measure_size("before", stored, trials)]
    return train_smaller(request, recipe, taught, (sizes, {"method": "distil", "student": student}), (trials, listener))
