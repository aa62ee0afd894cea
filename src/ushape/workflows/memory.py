"""How much memory training steps and predictions take, worked out before the first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ushape.losses.compose import Loss
from ushape.nets.memory import Numerics, Peak, Upkeep, prediction_peak, step_peak
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe
from ushape.predict.torch_engine import Precision, torch_probabilities
from ushape.train.probe import AUTOCAST
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
