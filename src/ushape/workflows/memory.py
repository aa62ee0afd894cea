"""How much memory training steps and predictions take, worked out before the first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ushape.core.config import parse_assignment, with_fields
from ushape.core.events import Message
from ushape.losses.compose import Loss
from ushape.nets.memory import Numerics, Peak, Upkeep, prediction_peak, step_peak
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe
from ushape.predict.torch_engine import Precision, torch_probabilities
from ushape.train.probe import AUTOCAST, MachineFacts
from ushape.train.step import compute_loss
from ushape.workflows.engine import settle

GIB = 2**30
UPKEEP = {"adamw": (2, 2), "adam": (2, 2), "muon": (1, 3), "sgd": (1, 1)}
"""How many numbers an optimiser keeps for each weight, and how many it makes while it changes one."""


def estimate_step(recipe: Recipe, device: str) -> Peak:
    """Estimate the memory of one training step: weights, gradients, optimiser, average, and activations of the batch.

    What is measured later counts as what needs most: precision "auto" as float32, layout "auto" as contiguous.
    """
    shape = (recipe.patches.batch, recipe.data.channels, *recipe.patches.size)
    classes = (recipe.net.classes,) if recipe.data.labels.overlap != "none" else ()

    def run(net: UNet, image: Tensor) -> Tensor:
        kind = torch.bool if classes else torch.long
        label = torch.zeros(len(image), *classes, *image.shape[2:], dtype=kind, device=image.device)
        loss = Loss(recipe.loss, recipe.head).to(image.device)
        return compute_loss(net, loss, UNet.watch_gates, {"image": image, "label": label})

    train = recipe.train
    numerics = Numerics(device, AUTOCAST.get(train.precision), train.layout == "channels_last")
    copies, passing = UPKEEP[train.optim.optimizer]
    upkeep = Upkeep(copies + (1 if train.average else 0), passing, accumulates=train.accumulate > 1)
    return step_peak(recipe.net, shape, run, numerics, upkeep)


def estimate_prediction(recipe: Recipe, shape: Sequence[int], device: str, precision: Precision) -> Peak:
    """Estimate the memory of predicting one batch of windows by torch: weights, activations and probabilities."""
    numerics = Numerics(device, AUTOCAST.get(precision), device == "cpu")
    classes = recipe.data.labels.count

    def run(net: UNet, image: Tensor) -> Tensor:
        return torch_probabilities(settle(net, recipe.net.ndim, device, precision), image, precision, classes)

    return prediction_peak(recipe.net, shape, run, numerics)


def foretell_memory(recipe: Recipe, machine: MachineFacts) -> Message:
    """Say what a step will take; where that is more than there is, what would take less and how much.

    The advice comes before the start: a system that has no memory left may kill the program without a word.
    """
    needed = estimate_step(recipe, machine.device).total / GIB
    said = f"about {needed:.2g} GB of memory for a step"
    if needed <= machine.memory_gb:
        return Message(said)
    less = [
        f"--set {name}={value} takes {_with(recipe, name, value, machine.device):.2g}"
        for name, value in _savings(recipe).items()
    ]
    return Message(f"{said}, but {machine.device} has {machine.memory_gb:g}: {', '.join(less)}", "warning")


def _savings(recipe: Recipe) -> dict[str, str]:
    """List changes that take less memory, as for --set."""
    patches, net = recipe.patches, recipe.net
    half = {"patches.batch": str(patches.batch // 2)} if patches.batch > 1 else {}
    again = {} if net.checkpointing else {"net.checkpointing": "true"}
    mixed = {} if recipe.train.precision in AUTOCAST else {"train.precision": "bf16"}
    return {**half, "patches.size": f"[{','.join(map(str, halved(patches.size)))}]", **again, **mixed}


def _with(recipe: Recipe, name: str, value: str, device: str) -> float:
    return estimate_step(with_fields(recipe, dict([parse_assignment(f"{name}={value}")])), device).total / GIB


def halved(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return half a patch's edges, eight at least.

    >>> halved((128, 12))
    (64, 8)
    """
    return tuple(max(length // 2, 8) for length in size)
