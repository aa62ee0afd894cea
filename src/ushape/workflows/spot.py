"""The window of a prediction that has one voxel in its middle, and what the network says of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy import ndarray

from ushape.core.grid import cut_mirrored
from ushape.explain.story import Place
from ushape.predict.layout import Axis, lay_windows
from ushape.prep.geometry import last_axes
from ushape.workflows.scene import Scene, make_reference


@dataclass(frozen=True, eq=False)
class Spot:
    """A voxel of the prepared image, and the window that prediction lays around it.

    Attributes:
        place: of the voxel, on the prepared grid.
        region: what the window predicts of that grid.
        corner: the voxel's place in the logits; `margin` more at each side in the pixels.
        pixels: (channels, *window) as the network sees them.
    """

    place: Place
    region: tuple[slice, ...]
    corner: Place
    margin: tuple[int, ...]
    pixels: ndarray
    logits: ndarray

    @property
    def voxel(self) -> Place:
        """The voxel's place in the pixels."""
        return tuple(at + edge for at, edge in zip(self.corner, self.margin, strict=True))

    def cut(self, array: ndarray) -> ndarray:
        """Cut the window's part out of an array on the prepared grid, in the size of the logits; 0 beyond the grid."""
        part = array[last_axes(*self.region)]
        space = self.logits.shape[1:]
        missing = [(0, want - have) for want, have in zip(space, part.shape[-len(space) :], strict=True)]
        return np.pad(part, [(0, 0)] * (part.ndim - len(space)) + missing)

    def widen(self, array: ndarray) -> ndarray:
        """Put an array of the logits' size into one of the window's, 0 around it."""
        return np.pad(array, [(edge, edge) for edge in self.margin])

    def put_back(self, array: ndarray, space: tuple[int, ...]) -> ndarray:
        """Put an array of the window's size onto the prepared grid of `space`; 0 elsewhere."""
        out = np.zeros(space, dtype=array.dtype)
        sizes = zip(self.region, self.margin, strict=True)
        out[self.region] = array[tuple(slice(edge, edge + cut.stop - cut.start) for cut, edge in sizes)]
        return out


def lay_window(scene: Scene, place: Place | None) -> Spot:
    """Lay a window of the prediction around a voxel of the prepared image; around the middle if it was cropped off."""
    place = place or tuple(size // 2 for size in scene.prepared.space)
    window, engine = scene.recipe.predict.window, make_reference(scene.net, scene.recipe)
    axes = lay_windows(scene.prepared.space, engine, window.size, window.overlap)
    starts = [min(axis.starts, key=partial(_off_centre, axis, at)) for axis, at in zip(axes, place, strict=True)]
    region = tuple(slice(start, min(start + a.length, a.size)) for start, a in zip(starts, axes, strict=True))
    margin = tuple(axis.margin for axis in axes)
    lengths = [axis.length + 2 * axis.margin for axis in axes]
    pixels = cut_mirrored(scene.prepared.image, [s - m for s, m in zip(starts, margin, strict=True)], lengths)
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    with torch.no_grad():
        logits = scene.net(torch.from_numpy(pixels)[None])[0].float().numpy()
    corner = tuple(at - start for at, start in zip(place, starts, strict=True))
    return Spot(place, region, corner, margin, pixels, logits)


def _off_centre(axis: Axis, at: int, start: int) -> int:
    return abs(2 * (at - start) + 1 - axis.length)
