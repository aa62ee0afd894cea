"""Take values from places between voxels: linearly for images, from the nearest voxel for labels.

Places are counted in voxels from the edge of the patch, so that voxel i reaches from i to i + 1. Only two axes are
looked up by torch, whose kernel for three is many times slower on a CPU. A volume is one tall picture for it, slice
below slice, and what lies between two slices is taken from both.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F


def mirror_places(places: Float[Tensor, "n ndim *out"], space: tuple[int, ...]) -> Float[Tensor, "n ndim *out"]:
    """Fold places outside the patch back into it, in place; those beyond the first mirror image to its far edge.

    >>> mirror_places(torch.tensor([[[-1.0, 1.5, 5.0, 9.0]]]), (4,)).tolist()
    [[[1.0, 1.5, 3.0, 0.0]]]
    """
    size = torch.tensor(space, dtype=places.dtype, device=places.device).reshape(-1, *[1] * (places.ndim - 2))
    places.abs_()
    return torch.minimum(places, 2 * size - places, out=places).clamp_min_(0)


def look_up_linear(
    image: Float[Tensor, "n channels *space"], places: Float[Tensor, "n ndim *out"]
) -> Float[Tensor, "n channels *out"]:
    """Interpolate linearly; half a voxel from the edge, values are those of the edge.

    >>> image = torch.tensor([[[[0.0, 10.0, 20.0]]]])
    >>> look_up_linear(image, torch.tensor([[[[0.5, 0.5]], [[1.0, 2.9]]]])).tolist()
    [[[[5.0, 20.0]]]]
    """
    *_, rows, cols = image.shape
    if image.ndim == 4:
        return _look_up(image, _make_grid(places[:, 0], places[:, 1], rows, cols), "bilinear")
    slices, tall = image.shape[2], image.flatten(2, 3)
    depth = (places[:, 0] - 0.5).clamp_(0, slices - 1)
    above = depth.floor()
    depth -= above
    row = places[:, 1].clamp(0.5, rows - 0.5).add_(above, alpha=rows)
    grid = _make_grid(row, places[:, 2], slices * rows, cols)
    first = _look_up(tall, grid, "bilinear")
    grid[:, 1] += (above < slices - 1) * (2 / slices)
    return first.lerp_(_look_up(tall, grid, "bilinear"), depth[:, None])


def look_up_nearest(
    label: Shaped[Tensor, "n classes *space"], places: Float[Tensor, "n ndim *out"]
) -> Shaped[Tensor, "n classes *out"]:
    """Take the value of the voxel in which a place lies.

    >>> look_up_nearest(torch.tensor([[[[7, 8, 9]]]]), torch.tensor([[[[0.5, 0.5]], [[0.9, 2.1]]]])).tolist()
    [[[[7, 9]]]]
    """
    values, (*_, rows, cols) = label.to(places.dtype), label.shape
    if label.ndim == 4:
        return _look_up(values, _make_grid(places[:, 0], places[:, 1], rows, cols), "nearest").to(label.dtype)
    slices = label.shape[2]
    row = places[:, 0].floor().clamp_(0, slices - 1).mul_(rows).add_(places[:, 1].clamp(0.5, rows - 0.5))
    grid = _make_grid(row, places[:, 2], slices * rows, cols)
    return _look_up(values.flatten(2, 3), grid, "nearest").to(label.dtype)


def _make_grid(
    row: Float[Tensor, "n *out"], col: Float[Tensor, "n *out"], rows: int, cols: int
) -> Float[Tensor, "n 2 *out"]:
    """Count places from -1 to 1, x before y, as torch wants them."""
    grid = row.new_empty((len(row), 2, *row.shape[1:]))
    torch.mul(col, 2 / cols, out=grid[:, 0])
    torch.mul(row, 2 / rows, out=grid[:, 1])
    return grid.sub_(1)


def _look_up(
    picture: Float[Tensor, "n channels rows cols"],
    grid: Float[Tensor, "n 2 *out"],
    mode: Literal["bilinear", "nearest"],
) -> Float[Tensor, "n channels *out"]:
    found = F.grid_sample(picture, grid.flatten(3).movedim(1, -1), mode, "border", align_corners=False)
    return found.reshape(*found.shape[:2], *grid.shape[2:])
