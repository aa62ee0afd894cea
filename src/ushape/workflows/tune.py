"""Fine-tuning: what a training that starts from a model takes over of it."""

from __future__ import annotations

from torch import nn

from ushape.core.config import with_fields
from ushape.core.errors import ConfigError
from ushape.core.events import Message, count
from ushape.core.model_file import read_header, read_weights
from ushape.nets.weights import load_all_but_heads
from ushape.plan.recipe import Recipe, read_recipe
from ushape.workflows.source import model_path


def plan_from(planned: Recipe, start: str) -> Recipe:
    """Plan the net, the preparation and the sizes of the model that a training starts from, for the classes at hand.

    Gray images are repeated if the model takes several channels.

    Raises:
        ConfigError: the model is an ensemble, or has another number of axes.
        ModelFileError: it is no model.
    """
    if start == "none":
        return planned
    file = model_path(start)
    header = read_header(file)
    if header.members > 1:
        raise ConfigError(
            f"--from {start}: expected one net, got an ensemble of {header.members}; give one of its folds"
        )
    model = read_recipe(header.recipe, str(file))
    if model.net.ndim != planned.net.ndim:
        axes = f"expected a model for {planned.net.ndim} axes, as the images have, got one for {model.net.ndim}"
        raise ConfigError(f"--from {start}: {axes}; take another model")
    channels = model.data.channels if planned.data.channels == 1 else planned.data.channels
    net = {**model.net.model_dump(), "encoder_weights": "none", "classes": planned.net.classes, "in_channels": channels}
    kept = {
        "prep": model.prep.model_dump(),
        "net": net,
        "patches.size": model.patches.size,
        "predict.window": model.predict.window.model_dump(),
        "data.channels": channels,
    }
    return with_fields(planned, kept, f"--from {start}")


def start_from(net: nn.Module, start: str) -> Message:
    """Give a new net the weights of a model, but for heads of other classes, and say what was taken.

    Raises:
        ModelFileError: other weights than the heads' do not fit; the message names some.
    """
    anew = load_all_but_heads(net, read_weights(model_path(start)), f"--from {start}")
    taken = count(len(net.state_dict()) - len(anew), "tensor")
    new = f"; new, since the classes differ: {', '.join(anew)}" if anew else ""
    return Message(f"starting from {start}: {taken} taken{new}")
