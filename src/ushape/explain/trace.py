"""An image's walk through a network: the shape of every row, and what it still tells of the image and of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from ushape.explain.levels import find_stride, find_voxels, is_centred, level_strides
from ushape.nets.cost import Row, trace_rows
from ushape.nets.unet import UNet
from ushape.prep.geometry import last_axes

SAMPLES = 8192
"""Voxels by which it is judged what a row tells: half of them to fit, half to test."""
SHOWN_MAPS = 8
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class View:
    """What is traced.

    Attributes:
        image: one window, as the network sees it.
        answer: what the network says of each voxel, such as the probability of the foreground.
        voxel: the place in the window whose features are followed.
    """

    image: Float[ndarray, "channels *space"]
    answer: Float[ndarray, "*space"]
    voxel: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TracedRow:
    """What one row of the layer table made of the image.

    Attributes:
        row: the row as `ushape info` prints it.
        zeros: share of its numbers that are exactly 0.
        silent: channels of one value everywhere: they tell nothing of this image.
        image_kept: share of the image's variance that can be read from this row, voxel by voxel and linearly.
        answer_kept: the same of the answer.
        strongest: the channel that is farthest above its own mean at the voxel, in its standard deviations.
        maps: the channels that vary most, cut through the voxel: itself in 2D, across the first axis in 3D.
    """

    row: Row
    zeros: float
    silent: int
    image_kept: float
    answer_kept: float
    strongest: tuple[int, float]
    maps: Float[ndarray, "k rows cols"]


def trace_image(net: UNet, view: View) -> tuple[TracedRow, ...]:
    """Run a network on one window and look at what every row gives.

    What is "kept" is the R2 of a ridge regression from a voxel's channels to the image at random voxels below it,
    fitted on one half of them and tested on the other: 1 where the pixel can be told from the row, 0 where only its
    mean can. Detail that pooling blurs is lost by this measure, and so is what another place would tell.

    Source: Alain and Bengio 2016, arXiv:1610.01644 (linear probes). Differs: a regression, from single voxels.
    """
    image = torch.from_numpy(np.ascontiguousarray(view.image))[None]
    rows = {row.stage: row for row in trace_rows(net, image)}
    inner = min(row.shape[2:] for name, row in rows.items() if name.startswith("heads."))
    whole = [max(sizes) for sizes in zip(image.shape[2:], *(row.shape[2:] for row in rows.values()), strict=True)]
    traced: dict[str, TracedRow] = {}
    look = partial(_Look, net, view, draw_places(view.image.shape[1:], inner), whole)
    hooks = [net.get_submodule(name).register_forward_hook(look(traced, row)) for name, row in rows.items()]
    try:
        with torch.no_grad():
            net(image)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(traced[name] for name in rows)


class _Look:
    """A hook that notes what a row gives while it is there: a next one may overwrite it."""

    def __init__(
        self, net: UNet, view: View, places: ndarray, whole: Sequence[int], traced: dict[str, TracedRow], row: Row
    ) -> None:
        self.net, self.view, self.places, self.whole, self.traced, self.row = net, view, places, whole, traced, row

    def __call__(self, _: nn.Module, __: object, output: Tensor | list[Tensor]) -> None:
        features = (output[-1] if isinstance(output, list) else output)[0].detach().float().numpy()
        size = features.shape[1:]
        stride = find_stride(level_strides(self.net), size, self.whole)
        find = partial(find_voxels, stride=stride, size=size, space=self.whole, centred=is_centred(self.net))
        image = self.view.image[(slice(None), *self.places.T)].T
        answer = self.view.answer[tuple(self.places.T)][:, None]
        told = features[(slice(None), *find(self.places).T)].T
        here = tuple(find(np.asarray([self.view.voxel]))[0].tolist())
        self.traced[self.row.stage] = TracedRow(
            self.row,
            zeros=float((features == 0).mean()),
            silent=int((np.ptp(features.reshape(len(features), -1), axis=1) == 0).sum()),
            image_kept=read_back(told, image),
            answer_kept=read_back(told, answer),
            strongest=find_strongest(features, here),
            maps=choose_maps(features, here),
        )


def draw_places(space: Sequence[int], inner: Sequence[int]) -> Int[ndarray, "n axes"]:
    """Draw places in the middle part `inner` of a grid, always the same ones."""
    rng = np.random.default_rng(0)
    axes = zip(space, inner, strict=True)
    columns = [
        rng.integers((have - min(want, have)) // 2, (have + min(want, have)) // 2, SAMPLES) for have, want in axes
    ]
    return np.stack(columns, axis=1)


def read_back(features: Float[ndarray, "n c"], target: Float[ndarray, "n t"]) -> float:
    """Return the share of a target's variance that a linear map of the features explains, in [0, 1].

    Fitted on the even rows and tested on the odd ones. NaN if the target does not vary.

    >>> ramp = np.linspace(0, 1, 400)[:, None]
    >>> round(read_back(2 * ramp + 1, ramp), 3), read_back(np.ones((400, 3)), ramp)
    (1.0, 0.0)
    """
    used = features[:, np.ptp(features, axis=0) > 0].astype(np.float64)
    wanted = target[1::2].astype(np.float64)
    if not np.ptp(wanted, axis=0).any():
        return float("nan")
    total = ((wanted - wanted.mean(axis=0)) ** 2).sum()
    inputs = (used - used.mean(axis=0)) / used.std(axis=0)
    fit, mean = inputs[::2], target[::2].mean(axis=0, dtype=np.float64)
    gram = fit.T @ fit + RIDGE * len(fit) * np.eye(fit.shape[1])
    weights = np.linalg.solve(gram, fit.T @ (target[::2] - mean))
    return float(np.clip(1 - ((wanted - mean - inputs[1::2] @ weights) ** 2).sum() / total, 0, 1))


def find_strongest(features: Float[ndarray, "c *space"], here: tuple[int, ...]) -> tuple[int, float]:
    """Return the channel that stands out most at a voxel, and by how many of its standard deviations."""
    flat = features.reshape(len(features), -1)
    spread = flat.std(axis=1)
    above = np.abs(features[last_axes(*here)] - flat.mean(axis=1)) / np.where(spread > 0, spread, np.inf)
    return int(above.argmax()), float(above.max())


def choose_maps(features: Float[ndarray, "c *space"], here: tuple[int, ...]) -> Float[ndarray, "k rows cols"]:
    """Cut the channels that vary most through a voxel, the most varying first."""
    flat = features if features.ndim == 3 else features[:, here[0]]
    order = np.argsort(-flat.reshape(len(flat), -1).std(axis=1), kind="stable")[:SHOWN_MAPS]
    return flat[order].copy()
