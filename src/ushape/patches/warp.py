"""Spatial augmentation: move voxels, image and label together. Drawing is apart from applying.

Flips and quarter turns are exact. Rotation, scale and elastic deformation are one map of coordinates and cost one
resampling, on the device of the batch, in 2D and 3D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int, Integer
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ushape.core.config import Config

Probability = Annotated[float, Field(ge=0, le=1)]
AXIS_PAIRS = {2: ((0, 1),), 3: ((1, 2), (0, 1), (0, 2))}


class WarpConfig(Config):
    """How patches are moved; each movement strikes a patch with its own probability.

    Attributes:
        flip: mirror each axis with probability one half.
        rotate90: turn the last two axes by a random multiple of 90 degrees; square patches only, others by 180.
        rotation: probability of a rotation by up to `degrees`, in 3D around every axis.
        degrees: largest angle, in degrees.
        scale: probability of a zoom between `scale_low` and `scale_high`, the same along all axes.
        elastic: probability of a smooth random deformation.
        elastic_sigma: standard deviation of its displacements, in voxels.
        elastic_spacing: distance of its control points, in voxels.
    """

    flip: bool = True
    rotate90: bool = True
    rotation: Probability = 0.2
    degrees: Annotated[float, Field(ge=0, le=180)] = 30.0
    scale: Probability = 0.2
    scale_low: Annotated[float, Field(gt=0)] = 0.7
    scale_high: Annotated[float, Field(gt=0)] = 1.4
    elastic: Probability = 0.0
    elastic_sigma: Annotated[float, Field(ge=0)] = 6.0
    elastic_spacing: Annotated[float, Field(gt=0)] = 48.0


@dataclass(frozen=True)
class WarpParams:
    """What was drawn for one batch.

    Attributes:
        flip: whether each axis of each patch is mirrored.
        turns: quarter turns of the last two axes of each patch.
        matrix: from an output voxel, relative to the centre, to the input voxel it is taken from.
        control: displacement in voxels at the control points, which lie evenly from edge to edge.
        resampled: whether a patch is resampled at all.
    """

    flip: Bool[Tensor, "b ndim"]
    turns: Int[Tensor, " b"]
    matrix: Float[Tensor, "b ndim ndim"]
    control: Float[Tensor, "b ndim *points"]
    resampled: Bool[Tensor, " b"]


def draw_warp(rng: torch.Generator, config: WarpConfig, shape: torch.Size) -> WarpParams:
    """Draw the parameters for a batch of `shape` (b, channels, *space)."""
    batch, _, *space = shape
    ndim = len(space)
    flip = torch.rand(batch, ndim, generator=rng) < 0.5
    turns = torch.randint(4, (batch,), generator=rng)
    if space[-1] != space[-2]:
        turns = turns // 2 * 2
    rotated, scaled, bent = (
        torch.rand(batch, generator=rng) < p for p in (config.rotation, config.scale, config.elastic)
    )
    zoom = config.scale_low + (config.scale_high - config.scale_low) * torch.rand(batch, generator=rng)
    angles = (2 * torch.rand(batch, len(AXIS_PAIRS[ndim]), generator=rng) - 1) * math.radians(config.degrees)
    matrix = rotation_matrices(angles * rotated[:, None], ndim) / torch.where(scaled, zoom, 1.0)[:, None, None]
    points = [max(round(size / config.elastic_spacing) + 1, 2) for size in space]
    control = torch.randn(batch, ndim, *points, generator=rng) * config.elastic_sigma
    control = control * bent.reshape(-1, *[1] * (ndim + 1))
    return WarpParams(flip & config.flip, turns * int(config.rotate90), matrix, control, rotated | scaled | bent)


def apply_warp(
    params: WarpParams, image: Float[Tensor, "b channels *space"], label: Integer[Tensor, "b *space"]
) -> tuple[Float[Tensor, "b channels *space"], Integer[Tensor, "b *space"]]:
    """Move the voxels of a batch: the image linearly, the label by its nearest voxel, what lies outside mirrored in."""
    image, label = turn_and_flip(params, image, label)
    struck = params.resampled.nonzero().flatten().to(image.device)
    if not len(struck):
        return image, label
    grid = sampling_grid(params, tuple(image.shape[2:]), image.device)
    image[struck] = F.grid_sample(image[struck], grid, "bilinear", "reflection", align_corners=False)
    chosen = label[struck][:, None].to(image.dtype)
    moved = F.grid_sample(chosen, grid, "nearest", "reflection", align_corners=False)
    label[struck] = moved[:, 0].to(label.dtype)
    return image, label


def turn_and_flip(
    params: WarpParams, image: Float[Tensor, "b channels *space"], label: Integer[Tensor, "b *space"]
) -> tuple[Float[Tensor, "b channels *space"], Integer[Tensor, "b *space"]]:
    """Mirror and turn by quarters: every voxel keeps its value and its class."""
    images, labels = [], []
    for i in range(len(image)):
        axes = [axis - params.flip.shape[1] for axis in params.flip[i].nonzero().flatten().tolist()]
        turns = int(params.turns[i])
        images.append(torch.rot90(torch.flip(image[i], axes), turns, (-2, -1)))
        labels.append(torch.rot90(torch.flip(label[i], axes), turns, (-2, -1)))
    return torch.stack(images), torch.stack(labels)


def rotation_matrices(angles: Float[Tensor, "b pairs"], ndim: int) -> Float[Tensor, "b ndim ndim"]:
    """Rotate in each plane of `AXIS_PAIRS`, one after the other; angles in radians.

    >>> rotation_matrices(torch.tensor([[math.pi / 2]]), 2).round().abs().tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    matrix = torch.eye(ndim).expand(len(angles), ndim, ndim)
    for (i, j), angle in zip(AXIS_PAIRS[ndim], angles.unbind(1), strict=True):
        plane = torch.eye(ndim).repeat(len(angles), 1, 1)
        plane[:, i, i] = plane[:, j, j] = angle.cos()
        plane[:, i, j], plane[:, j, i] = -angle.sin(), angle.sin()
        matrix = matrix @ plane
    return matrix


def sampling_grid(
    params: WarpParams, space: tuple[int, ...], device: torch.device
) -> Float[Tensor, "struck *space ndim"]:
    """Return where each voxel of the struck patches is taken from, in the coordinates of `grid_sample`: x first."""
    ndim, struck = len(space), params.resampled
    half = torch.tensor(space) / 2
    matrix = params.matrix[struck] * half / half[:, None]  # from voxels to [-1, 1]
    theta = torch.cat([matrix.flip(1, 2), torch.zeros(len(matrix), ndim, 1)], dim=2).to(device)
    grid = F.affine_grid(theta, [len(theta), 1, *space], align_corners=False)
    control = params.control[struck]
    if not bool(control.any()):
        return grid
    mode = {2: "bicubic", 3: "trilinear"}[ndim]
    field = F.interpolate(control.to(device), space, mode=mode, align_corners=True)
    shift = field / half.to(device).reshape(1, -1, *[1] * ndim)
    return grid + shift.movedim(1, -1).flip(-1)
