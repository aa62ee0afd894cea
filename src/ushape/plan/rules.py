"""The decisions brought together: facts in, a recipe and its reasons out. No file is read here."""

from __future__ import annotations

import math

from ushape.core.labels import Labels
from ushape.losses.compose import LossConfig
from ushape.losses.terms import CrossEntropyConfig, DiceConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.patches.sampler import PatchConfig
from ushape.plan.data import DataConfig
from ushape.plan.decision import Decision
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.intensity import choose_intensity, find_ct
from ushape.plan.motion import plan_augment
from ushape.plan.recipe import Reasons, Recipe
from ushape.plan.shape import (
    choose_kernels,
    choose_patch_size,
    choose_strides,
    choose_widths,
    choose_window,
)
from ushape.plan.space import Grid, choose_crop, choose_orientation, choose_spacing, plan_grid
from ushape.predict.predictor import PredictConfig
from ushape.prep.pipeline import PrepConfig
from ushape.prep.resample import ResampleConfig
from ushape.train.config import TrainConfig

VOXELS_PER_STEP = 8 * 128 * 128
"""Voxels of one training step: what two CPU cores do in about half a second in bf16."""
FEWEST_PATCHES, MOST_PATCHES = 2, 16
UNEQUAL = 8.0
"""The largest case has this many times the voxels of the smallest."""
RARE = 0.5
"""Share of the voxels below which the background is the rarer part."""


def choose_batch(voxels: float, patch: tuple[int, ...]) -> Decision:
    """Fill a step with about `VOXELS_PER_STEP` voxels, but with no more patches than the data fills; at least 2.

    Args:
        voxels: of all cases together, about.
    """
    by_cost, by_data = round(VOXELS_PER_STEP / math.prod(patch)), int(voxels / math.prod(patch))
    batch = max(FEWEST_PATCHES, min(by_cost, by_data, MOST_PATCHES))
    total = f"{batch * math.prod(patch):,} voxels per step"
    if batch > by_cost:
        return Decision(batch, f"{total}; fewer than {batch} patches make a noisy step")
    if batch == by_data:
        return Decision(batch, f"{total}, no more than all images have together")
    return Decision(batch, f"{total}, which a CPU still does in good time")


def choose_by_area(fingerprint: Fingerprint) -> Decision:
    """Draw larger cases more often where sizes differ much: they hold more that a net has not seen."""
    smallest, largest = (math.prod(size) for size in (fingerprint.min_size, fingerprint.max_size))
    if largest < UNEQUAL * smallest:
        return Decision(0.0, "every case equally often: they are of about one size")
    return Decision(0.5, "as the root of its size: large cases hold more, and each scores once")


def choose_head(labels: Labels) -> Decision:
    """Use softmax over all classes, the background counted; sigmoids where classes may overlap."""
    if labels.overlap != "none":
        return Decision("sigmoid", f"{labels.count - 1} classes that may overlap: each is decided by itself")
    return Decision("softmax", f"{labels.count} classes with the background, exclusive of each other")


def choose_overlap_loss() -> Decision:
    """Add cross-entropy and batch Dice of each class by itself."""
    return Decision(LossConfig(bce=CrossEntropyConfig(), dice=DiceConfig()), "each class has a channel of its own")


def choose_loss(fingerprint: Fingerprint) -> Decision:
    """Add cross-entropy and batch Dice; Dice counts the background where it is the rarer part.

    Dice pays for the rare: where class 0 covers less than half of the image it is a structure of its own (membranes
    between cells, say), and leaving it out would train the others only.
    """
    background = fingerprint.class_shares[0] < RARE
    loss = LossConfig(ce=CrossEntropyConfig(), dice=DiceConfig(background=background))
    kind = "class 0 is rarer than the rest, so Dice counts it too" if background else "Dice counts the foreground"
    return Decision(loss, kind)


def make_plan(
    fingerprint: Fingerprint, labels: Labels, *, slices: bool = False, levels: int | None = None
) -> tuple[Recipe, Reasons]:
    """Decide everything.

    Args:
        slices: whether volumes are trained on as slices along their first axis, by a 2D net.
        levels: of the net, where a user says how many.
    Returns:
        The recipe, and for each field that was decided the reason.
    """
    prep, why_prep = _plan_prep(fingerprint)
    grid = plan_grid(fingerprint, prep.crop, prep.resample.spacing)
    voxels = float(math.prod(grid.size)) * fingerprint.cases
    seen = Grid(grid.size[1:], grid.spacing[1:]) if slices else grid
    strides = choose_strides(seen, levels)
    net, why_net = _plan_net(fingerprint, labels, seen, strides)
    patch = choose_patch_size(seen, strides.value)
    batch, window = choose_batch(voxels, patch.value), choose_window(patch.value)
    by_area = choose_by_area(fingerprint)
    may_overlap = labels.overlap != "none"
    loss, head = choose_overlap_loss() if may_overlap else choose_loss(fingerprint), choose_head(labels)
    augment, why_augment = plan_augment(seen, patch.value, fingerprint.class_order[-len(patch.value) :])
    recipe = Recipe(
        head=head.value,
        data=DataConfig(channels=fingerprint.channels, labels=labels),
        prep=prep,
        net=net,
        loss=loss.value,
        patches=PatchConfig(size=patch.value, batch=batch.value, by_area=by_area.value),
        augment=augment,
        train=TrainConfig(),
        predict=PredictConfig(window=window.value, threshold=(0.5,) * (labels.count - 1) if may_overlap else "argmax"),
    )
    reasons = {
        "head": head.reason,
        "data.channels": "as many as differ in the images",
        **_explain_labels(fingerprint, labels),
        **why_prep,
        **why_net,
        f"loss.{'bce' if may_overlap else 'ce'}.weight": "cross-entropy for every voxel",
        "loss.dice.weight": "Dice for rare classes",
        "loss.dice.background": loss.reason,
        "patches.size": patch.reason,
        "patches.batch": batch.reason,
        "patches.by_area": by_area.reason,
        **why_augment,
        "predict.window.size": window.reason,
        "predict.window.overlap": "a quarter of the window" if len(patch.value) == 2 else "half a window",
        "train.minutes": "set it by --minutes; or --epochs for a number of epochs instead",
    }
    return recipe, reasons


def _explain_labels(fingerprint: Fingerprint, labels: Labels) -> Reasons:
    shares = ", ".join(f"{share:.1%}" for share in fingerprint.class_shares)
    reasons = {
        "data.labels.names": f"shares of the voxels: {shares}",
        "data.labels.values": "as found in the masks, or as the data set or a recipe names them",
        "data.labels.merge": "every value above 0 is one class",
        "data.labels.ignore": "such voxels neither train nor count",
    }
    return {name: why for name, why in reasons.items() if getattr(labels, name.rsplit(".", 1)[1]) != "none"}


def _plan_prep(fingerprint: Fingerprint) -> tuple[PrepConfig, Reasons]:
    orientation, spacing = choose_orientation(fingerprint), choose_spacing(fingerprint)
    crop = choose_crop(fingerprint, is_ct=find_ct(fingerprint).value)
    intensity = choose_intensity(fingerprint)
    prep = PrepConfig(
        orientation=orientation.value,
        crop=crop.value,
        intensity=intensity.value,
        resample=ResampleConfig.model_validate({"spacing": spacing.value, "unit": fingerprint.unit}),
    )
    reasons = {
        "prep.orientation": orientation.reason,
        "prep.crop": crop.reason,
        "prep.intensity": intensity.reason,
        "prep.resample.spacing": spacing.reason,
        "prep.resample.unit": "the unit of the files' spacing",
    }
    return prep, reasons


def _plan_net(fingerprint: Fingerprint, labels: Labels, grid: Grid, strides: Decision) -> tuple[UNetConfig, Reasons]:
    kernels = choose_kernels(grid, strides.value)
    ndim = len(grid.size)
    widths = choose_widths(len(strides.value), ndim)
    net = {
        "ndim": ndim,
        "in_channels": fingerprint.channels,
        "classes": labels.count - (labels.overlap != "none"),
        "widths": widths.value,
        "strides": () if _is_uniform(strides.value[1:], 2) else strides.value,
        "kernels": () if _is_uniform(kernels.value, 3) else kernels.value,
        "block": BlockConfig(norm="instance"),
        "up": "linear",
    }
    reasons = {
        "net.ndim": f"{ndim}D, as the images" if ndim == fingerprint.ndim else "slice by slice along the first axis",
        "net.in_channels": "the channels of the images",
        "net.classes": "one logit per class",
        "net.widths": f"{widths.reason}; {strides.reason}",
        "net.strides": strides.reason if net["strides"] else "2 everywhere: all axes are alike",
        "net.kernels": kernels.reason if net["kernels"] else "3 everywhere: all axes are alike",
        "net.block.norm": "each image by its own statistics: data sets mix stains, devices and exposures",
        "net.up": "no checkerboards, and fewer weights than transposed convolutions",
    }
    return UNetConfig.model_validate(net), reasons


def _is_uniform(rows: tuple[tuple[int, ...], ...], number: int) -> bool:
    return all(value == number for row in rows for value in row)
