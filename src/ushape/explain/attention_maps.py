"""The maps of attention gates on the image's grid, and whether they tell the foreground from the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from ushape.explain.levels import is_centred, level_strides, spread
from ushape.nets.attention import AttentionGate
from ushape.nets.ndim import PerAxis
from ushape.nets.unet import UNet

UNIFORM = 0.05
"""A map whose 1st and 99th percentile lie closer than this weighs all voxels alike: its mean would do as well."""
RELATED = 0.3
"""Correlation from which a map is said to follow something; with the label of another image it stays far below."""
CLEARLY = 0.2
"""By how much more a map must follow the border to be said to mark it: a blurred area follows its border, too."""


def find_gates(net: UNet) -> dict[str, int]:
    """Return the names of a network's attention gates, finest first, and the level of each."""
    names = [name for name, module in net.named_modules() if isinstance(module, AttentionGate)]
    return {name: int(name.split(".")[1]) for name in names}


class GateEngine:
    """Runs a network on windows and gives the maps of its gates where other engines give probabilities.

    So windows are cut, blended and taken back to the image's grid as those are. Channel 0 is 0: it stands where the
    background does, which is what lies outside of a prepared image.

    Attributes:
        gates: name and level of each gate, in the order of the channels from 1 on.
    """

    def __init__(self, net: UNet, margin: tuple[int, ...] = ()) -> None:
        self.net, self.gates = net.eval(), find_gates(net)
        self.classes, self.margin = 1 + len(self.gates), margin
        self.window: tuple[int, ...] = ()

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return 0, then the map of each gate."""
        maps: dict[str, Tensor] = {}
        hooks = [self.net.get_submodule(f"{name}.map").register_forward_hook(_keep(name, maps)) for name in self.gates]
        try:
            with torch.inference_mode():
                self.net(torch.from_numpy(np.ascontiguousarray(windows)))
        finally:
            for hook in hooks:
                hook.remove()
        strides, centred = level_strides(self.net), is_centred(self.net)
        margin = self.margin or (0,) * (windows.ndim - 2)
        inner = [size - 2 * edge for size, edge in zip(windows.shape[2:], margin, strict=True)]
        shown = [spread(maps[name], strides[level], inner, centred=centred) for name, level in self.gates.items()]
        return torch.cat([torch.zeros_like(shown[0]), *shown], dim=1).numpy()


def _keep(name: str, kept: dict[str, Tensor]) -> Callable[[object, object, Tensor], None]:
    def hook(_: object, __: object, output: Tensor) -> None:
        kept[name] = output

    return hook


@dataclass(frozen=True)
class GateJudgement:
    """How a gate's map lies to a region, measured on the gate's own grid.

    Attributes:
        spread: its 99th minus its 1st percentile.
        inside, outside: its means in the region and beyond; NaN where the image has none.
        entropy: of the map as a distribution over voxels, divided by its largest value; 1 is uniform.
        correlation: with the share of region in each voxel, in [-1, 1]; NaN where either does not vary.
        border: the same with the region's border.
        verdict: a key of `VERDICTS`.
    """

    spread: float
    inside: float
    outside: float
    entropy: float
    correlation: float
    border: float
    verdict: str

    @property
    def contrast(self) -> float:
        """How much more passes inside than outside."""
        return self.inside - self.outside


def judge_map(
    gate_map: Float[ndarray, "*space"], region: Bool[ndarray, "*space"], stride: PerAxis | None = None
) -> GateJudgement:
    """Measure whether a map with values in [0, 1] follows a region.

    Both are averaged over blocks of the gate's stride first: a coarse gate cannot know where in a block the region is.
    A border is made of the blocks that touch both sides.

    Args:
        stride: of the gate per axis; None if the map is as fine as the region.

    >>> region = np.zeros((8, 8), dtype=bool)
    >>> region[2:6, 2:6] = True
    >>> judge_map(np.full((8, 8), 0.5), region).verdict, judge_map(0.2 + 0.6 * region, region).verdict
    ('uniform', 'follows')
    """
    step = stride or (1,) * region.ndim
    weights, shares = average_blocks(gate_map, step), average_blocks(region.astype(np.float64), step)
    edge = find_border(shares)
    low, high = np.percentile(weights, [1, 99])
    inside = float(np.average(weights, weights=shares)) if shares.any() else float("nan")
    outside = float(np.average(weights, weights=1 - shares)) if (shares < 1).any() else float("nan")
    measured = (
        float(high - low),
        inside,
        outside,
        map_entropy(weights),
        correlate(weights, shares),
        correlate(weights, edge),
    )
    return GateJudgement(*measured, verdict=choose_verdict(measured[0], measured[4], measured[5]))


def choose_verdict(spread: float, correlation: float, border: float) -> str:
    """Name what a map does, the first of `RULES` that holds.

    >>> choose_verdict(0.5, -0.6, 0.1), choose_verdict(0.5, 0.1, 0.7), choose_verdict(0.5, float("nan"), float("nan"))
    ('inverted', 'border', 'alone')
    """
    return next(name for name, holds in RULES.items() if holds(spread, correlation, border))


RULES: dict[str, Callable[[float, float, float], bool]] = {
    "uniform": lambda spread, _, __: spread < UNIFORM,
    "alone": lambda _, correlation, __: bool(np.isnan(correlation)),
    "border": lambda _, correlation, border: abs(border) >= max(RELATED, abs(correlation) + CLEARLY),
    "follows": lambda _, correlation, __: correlation >= RELATED,
    "inverted": lambda _, correlation, __: correlation <= -RELATED,
    "undecided": lambda *_: True,
}
VERDICTS: dict[str, tuple[str, str]] = {
    "uniform": (
        "uniform: the gate does nothing yet",
        "train longer, or give the gates a loss with --set loss.gates.weight=0.3; else net.skip=concat is as good",
    ),
    "alone": ("nothing to compare with: this image shows none, or nothing else", "choose an image with some of it"),
    "border": (
        "at the border: the gate marks outlines, not areas",
        "often useful at fine levels; for areas give the gates a loss with --set loss.gates.weight=0.3",
    ),
    "follows": ("follows {foreground}", "nothing to do"),
    "inverted": (
        "inverted: the gate lets pass what is not {foreground}, which need not be a fault",
        "the decoder may use it either way; to turn it round train with --set loss.gates.weight=0.3",
    ),
    "undecided": (
        "undecided: the map varies, but neither with {foreground} nor with its border",
        "look at the picture: it may follow brightness or texture; train longer, or with --set loss.gates.weight=0.3",
    ),
}
"""What each verdict says, where `{foreground}` stands for what the map was held against, and what to do."""
AREAL = ("follows", "inverted")
"""The verdicts that speak of an area."""


def tell_verdict(verdict: str, *, predicted: bool) -> tuple[str, str]:
    """Say a verdict, and what to do.

    Args:
        predicted: whether the map was held against a prediction, not a label.

    >>> tell_verdict("follows", predicted=True)
    ('follows the predicted foreground', 'nothing to do')
    """
    says, remedy = VERDICTS[verdict]
    return says.format(foreground="the predicted foreground" if predicted else "the foreground"), remedy


def tell_judgement(judged: GateJudgement, *, predicted: bool) -> tuple[str, str]:
    """Say a verdict, and what to do; and where an area is followed no closer than its border, that, too."""
    says, remedy = tell_verdict(judged.verdict, predicted=predicted)
    if judged.verdict in AREAL and abs(judged.border) >= abs(judged.correlation):
        border, area = f"{judged.border:.2f}", f"{judged.correlation:.2f}"
        says += f" (its border as much: correlation {border} with that, {area} with the area)"
    return says, remedy


def average_blocks(values: Float[ndarray, "*space"], step: Sequence[int]) -> Float[ndarray, "*coarse"]:
    """Average over blocks; those at the end of an axis may be smaller.

    >>> average_blocks(np.arange(5.0)[None], (1, 2)).tolist()
    [[0.5, 2.5, 4.0]]
    """
    out = values.astype(np.float64)
    for axis, size in enumerate(step):
        starts = np.arange(0, out.shape[axis], size)
        counts = np.diff([*starts, out.shape[axis]])
        shape = [-1 if other == axis else 1 for other in range(out.ndim)]
        out = np.add.reduceat(out, starts, axis=axis) / counts.reshape(shape)
    return out


def find_border(shares: Float[ndarray, "*space"]) -> Float[ndarray, "*space"]:
    """Mark, as 1, voxels whose neighbourhood of three per axis lies on both sides of a region's border."""
    from scipy.ndimage import maximum_filter, minimum_filter

    inside = shares >= 0.5
    return (maximum_filter(inside, 3) & ~minimum_filter(inside, 3)).astype(np.float64)


def map_entropy(weights: Float[ndarray, "*space"]) -> float:
    """Return the entropy of a map that is divided by its sum, over that of a uniform one; 1 for a map of zeros."""
    total = weights.sum()
    if total <= 0 or weights.size < 2:
        return 1.0
    shares = weights[weights > 0] / total
    return float(-(shares * np.log(shares)).sum() / np.log(weights.size))


def correlate(one: Float[ndarray, "*space"], other: Float[ndarray, "*space"]) -> float:
    """Return Pearson's correlation; NaN where either does not vary.

    >>> round(correlate(np.array([1.0, 2.0]), np.array([3.0, 1.0])), 6)
    -1.0
    """
    if min(np.ptp(one), np.ptp(other)) < 1e-9:
        return float("nan")
    return float(np.clip(np.corrcoef(one.ravel(), other.ravel())[0, 1], -1, 1))
