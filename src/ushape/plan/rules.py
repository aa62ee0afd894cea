"""The decisions: one pure function each, from facts to a value and its reason. No file is read here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ushape.core.labels import Labels
from ushape.losses.compose import LossConfig
from ushape.losses.terms import CrossEntropyConfig, DiceConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import UNetConfig
from ushape.patches.sampler import PatchConfig
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.recipe import DataConfig, Reasons, Recipe
from ushape.predict.predictor import PredictConfig
from ushape.predict.windows import WindowConfig
from ushape.prep.pipeline import PrepConfig
from ushape.train.config import TrainConfig

SMALLEST_GRID = {2: 16, 3: 4}
"""An axis is halved while at least this many voxels would be left for the deepest level."""
PATCH_MULTIPLE = {2: 16, 3: 8}
VOXELS_PER_STEP = 8 * 128 * 128
"""Voxels of one training step: what two CPU cores do in about half a second in bf16."""
LONGEST_PATCH = {2: 128, 3: 64}
DEEPEST = 4
FIRST_WIDTH = 32


@dataclass(frozen=True)
class Decision:
    """A value and why it was chosen."""

    value: Any
    reason: str


def choose_patch_size(fingerprint: Fingerprint) -> Decision:
    """Take the median image, up to a longest side; rounded up so that every level divides it."""
    multiple = PATCH_MULTIPLE[fingerprint.ndim]
    longest = LONGEST_PATCH[fingerprint.ndim]
    size = tuple(min(longest, math.ceil(s / multiple) * multiple) for s in fingerprint.median_size)
    if all(have >= s for have, s in zip(size, fingerprint.median_size, strict=True)):
        return Decision(size, "holds the median image whole")
    return Decision(size, f"at most {longest} per axis: enough context, and many different patches per minute")


def choose_window(patch: tuple[int, ...]) -> Decision:
    """Predict pictures in windows of twice the patch, which overlap by half a patch; volumes as trained."""
    if len(patch) == 2:
        window = WindowConfig(size=tuple(2 * size for size in patch), overlap=0.25)
        return Decision(window, "twice the patch, overlapping by half a patch: few voxels are predicted twice")
    return Decision(WindowConfig(size=patch), "as trained")


def choose_levels(patch: tuple[int, ...]) -> Decision:
    """Halve the patch while its shortest axis keeps `SMALLEST_GRID` voxels."""
    halvings = int(math.log2(max(min(patch) // SMALLEST_GRID[len(patch)], 1)))
    levels = max(2, min(halvings + 1, DEEPEST))
    return Decision(levels, f"the deepest level still sees {min(patch) >> (levels - 1)} voxels per axis")


def choose_widths(levels: int) -> Decision:
    """Double the channels at each level."""
    widths = tuple(FIRST_WIDTH * 2**level for level in range(levels))
    return Decision(widths, f"doubled at each of {levels} levels")


def choose_batch(fingerprint: Fingerprint, patch: tuple[int, ...]) -> Decision:
    """Fill a step with about `VOXELS_PER_STEP` voxels, but with no more patches than the data fills; at least 2."""
    by_cost = round(VOXELS_PER_STEP / math.prod(patch))
    by_data = int(fingerprint.voxels / math.prod(patch))
    batch = max(2, min(by_cost, by_data, 16))
    return Decision(batch, f"{batch * math.prod(patch):,} voxels per step, which a CPU still does in good time")


def choose_head(labels: Labels) -> Decision:
    """Use softmax over all classes, the background counted."""
    return Decision("softmax", f"{labels.count} classes with the background, exclusive of each other")


def choose_loss(fingerprint: Fingerprint) -> Decision:
    """Add cross-entropy and batch Dice; Dice counts the background where it is the rarer part.

    Dice pays for the rare: where class 0 covers less than half of the image it is a structure of its own (membranes
    between cells, say), and leaving it out would train the others only.
    """
    background = fingerprint.class_shares[0] < 0.5
    loss = LossConfig(ce=CrossEntropyConfig(), dice=DiceConfig(background=background))
    kind = "class 0 is rarer than the rest, so Dice counts it too" if background else "Dice counts the foreground"
    return Decision(loss, f"cross-entropy for every voxel, Dice for rare classes; {kind}")


def make_plan(fingerprint: Fingerprint, labels: Labels) -> tuple[Recipe, Reasons]:
    """Decide everything.

    Returns:
        The recipe, and for each field that was decided the reason.
    """
    patch = choose_patch_size(fingerprint)
    levels = choose_levels(patch.value)
    widths = choose_widths(levels.value)
    loss = choose_loss(fingerprint)
    window = choose_window(patch.value)
    batch = choose_batch(fingerprint, patch.value)
    head = choose_head(labels)
    recipe = Recipe(
        head=head.value,
        data=DataConfig(channels=fingerprint.channels, labels=labels),
        prep=PrepConfig(),
        net=UNetConfig(
            ndim=fingerprint.ndim,
            in_channels=fingerprint.channels,
            classes=labels.count,
            widths=widths.value,
            block=BlockConfig(norm="instance"),
            up="linear",
        ),
        loss=loss.value,
        patches=PatchConfig(size=patch.value, batch=batch.value),
        train=TrainConfig(),
        predict=PredictConfig(window=window.value),
    )
    reasons = {
        "head": head.reason,
        "data.channels": f"the images have {fingerprint.channels} that differ",
        "data.labels": f"the values found in the masks; class shares {_percentages(fingerprint.class_shares)}",
        "prep.intensity": "brightness differs between images: each channel to mean 0 and standard deviation 1",
        "net.widths": f"{widths.reason}; {levels.reason}",
        "net.block.norm": "each image by its own statistics: data sets mix stains, devices and exposures",
        "net.up": "no checkerboards, and fewer weights than transposed convolutions",
        "loss.dice.background": loss.reason,
        "patches.size": patch.reason,
        "patches.batch": batch.reason,
        "patches.foreground": "every step sees foreground, however rare it is",
        "predict.window.size": window.reason,
        "train.minutes": "set it by --minutes; or --epochs for a number of epochs instead",
    }
    return recipe, reasons


def _percentages(shares: tuple[float, ...]) -> str:
    return ", ".join(f"{share:.1%}" for share in shares)
