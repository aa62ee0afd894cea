"""Spatial augmentation: move voxels, image and label together. Drawing is apart from applying.

Flips and quarter turns are exact. Rotation, shear, scale, elastic deformation and grid distortion are one map of
coordinates and cost one resampling, on the device of the batch, in 2D and 3D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int, Integer
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.patches.affine import (
    displacement_std,
    in_voxels,
    planes,
    pull_corners,
    rotation_matrices,
    shear_matrices,
    widen,
)
from ushape.patches.bend import count_nodes, draw_cells, smooth, spread_knots
from ushape.patches.chance import (
    NotNegative,
    Positive,
    PositiveRange,
    Probability,
    draw_factors,
    draw_strikes,
    draw_values,
)
from ushape.patches.turns import turn_and_flip

Label = Integer[Tensor, "b *space"] | Bool[Tensor, "b classes *space"]


class WarpConfig(Config):
    """How patches are moved; each movement strikes a patch with its own probability.

    Attributes:
        flip: mirror each of `flip_axes` with probability one half.
        flip_axes: the axes along which mirror images are as likely as the real ones; 0 is the first, row or z.
        rotate90: turn the last two axes by a random multiple of 90 degrees; square patches only, others by 180.
        rotation: probability of a rotation, in 3D in every plane.
        degrees: largest angle of it.
        shear: probability of a shear, in 3D in every plane.
        shear_degrees: largest angle of it.
        scale: probability of a zoom, the same along all axes.
        scale_range: of the zoom; above 1 things get larger.
        elastic: probability of a smooth random deformation.
        elastic_alpha: how strong it is: of the noise, evenly in [-1, 1], in voxels before it is smoothed.
        elastic_sigma: how smooth it is: of the Gaussian filter, in voxels.
        elastic_affine: how far, at most, an affine part of it moves corners of the patch, in voxels.
        grid_distortion: probability of stretching and squeezing the cells of a grid.
        grid_cells: number of its cells along each axis.
        grid_limit: largest change of a cell's width, as a part of it.
        in_plane: move the last two axes only, all slices alike; for volumes with thick slices.
        voxel: relative size of a voxel per axis, so that what turns keeps its shape; "cube" if it is the same.
    """

    flip: bool = True
    flip_axes: tuple[Literal[0, 1, 2], ...] | Literal["all"] = "all"
    rotate90: bool = True
    rotation: Probability = 0.2
    degrees: Annotated[float, Field(ge=0, le=180)] = 30.0
    shear: Probability = 0.0
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 10.0
    scale: Probability = 0.2
    scale_range: PositiveRange = (0.7, 1.4)
    elastic: Probability = 0.0
    elastic_alpha: NotNegative = 120.0
    elastic_sigma: Annotated[float, Field(ge=1)] = 6.0
    elastic_affine: NotNegative = 0.0
    grid_distortion: Probability = 0.0
    grid_cells: Annotated[int, Field(ge=1)] = 5
    grid_limit: Annotated[float, Field(ge=0, lt=1)] = 0.3
    in_plane: bool = False
    voxel: tuple[Positive, ...] | Literal["cube"] = "cube"

    def check(self, ndim: int) -> None:
        """Refuse settings that do not fit patches of `ndim` axes.

        Raises:
            ConfigError: an axis does not exist, or the voxel has another number of sides.
        """
        if self.flip_axes != "all" and any(axis >= ndim for axis in self.flip_axes):
            raise ConfigError(f"augment.warp.flip_axes: expected axes below {ndim}, got {list(self.flip_axes)}")
        if self.voxel != "cube" and len(self.voxel) != ndim:
            raise ConfigError(f"augment.warp.voxel: expected {ndim} numbers, one per axis, got {list(self.voxel)}")


@dataclass(frozen=True)
class WarpParams:
    """What was drawn for one batch. A voxel x of the result is taken from matrix (x + bend(x)) + shift.

    Attributes:
        flip: whether each axis of each patch is mirrored.
        turns: quarter turns of the last two axes of each patch.
        resampled: whether a patch is resampled at all.
        matrix: acts on places relative to the centre, in voxels.
        shift: in voxels.
        bent: whether a patch is deformed by more than an affine map.
        noise: of elastic deformation, in voxels, at its nodes.
        sigma: its smoothness, in voxels.
        knots: displacements of grid distortion, in voxels, along each axis.
    """

    flip: Bool[Tensor, "b ndim"]
    turns: Int[Tensor, " b"]
    resampled: Bool[Tensor, " b"]
    matrix: Float[Tensor, "b ndim ndim"]
    shift: Float[Tensor, "b ndim"]
    bent: Bool[Tensor, " b"]
    noise: Float[Tensor, "b ndim *nodes"]
    sigma: float
    knots: Float[Tensor, "b ndim knots"]


def draw_warp(rng: torch.Generator, config: WarpConfig, shape: torch.Size) -> WarpParams:
    """Draw the parameters for a batch of `shape` (b, channels, *space).

    Raises:
        ConfigError: the settings do not fit the number of axes.
    """
    batch, _, *sizes = shape
    space = tuple(sizes)
    config.check(len(space))
    flip, turns = _draw_turns(rng, config, batch, space)
    matrix = _draw_matrix(rng, config, batch, len(space))
    elastic = draw_strikes(rng, config.elastic, batch)
    pulled, shift = _draw_pull(rng, config, elastic, space)
    noise = _draw_noise(rng, config, elastic, space)
    knots = _draw_knots(rng, config, draw_strikes(rng, config.grid_distortion, batch), space)
    matrix, shift = matrix @ pulled, (matrix @ shift[:, :, None])[:, :, 0]
    bent = noise.flatten(1).any(1) | knots.flatten(1).any(1)
    moved = (matrix != torch.eye(len(space))).flatten(1).any(1) | shift.any(1)
    return WarpParams(flip, turns, moved | bent, matrix, shift, bent, noise, config.elastic_sigma, knots)


def apply_warp(
    params: WarpParams, image: Float[Tensor, "b channels *space"], label: Label
) -> tuple[Float[Tensor, "b channels *space"], Label]:
    """Move the voxels of a batch: the image linearly, the label by its nearest voxel, what lies outside mirrored in."""
    image, label = (turn_and_flip(each, params.flip, params.turns) for each in (image, label))
    struck = params.resampled.nonzero().flatten()
    if not len(struck):
        return image, label
    grid = sampling_grid(params, tuple(image.shape[2:]), image.device)
    struck = struck.to(image.device)
    moved = F.grid_sample(image[struck], grid, "bilinear", "reflection", align_corners=False)
    classes = label[struck].to(image.dtype)
    classes = classes if label.ndim == image.ndim else classes[:, None]
    chosen = F.grid_sample(classes, grid, "nearest", "reflection", align_corners=False)
    return (
        image.index_copy(0, struck, moved),
        label.index_copy(0, struck, chosen.reshape(-1, *label.shape[1:]).to(label.dtype)),
    )


def sampling_grid(
    params: WarpParams, space: tuple[int, ...], device: torch.device
) -> Float[Tensor, "struck *space ndim"]:
    """Return where each voxel of the struck patches is taken from, in the coordinates of `grid_sample`: x first."""
    struck, half = params.resampled, torch.tensor(space) / 2
    matrix = params.matrix[struck] * half / half[:, None]  # from voxels to [-1, 1]
    shift = params.shift[struck] / half
    theta = torch.cat([matrix.flip(1, 2), shift.flip(1)[:, :, None]], dim=2)
    grid = F.affine_grid(theta.to(device), [len(theta), 1, *space], align_corners=False)
    bent = params.bent[struck].nonzero().flatten().to(device)
    if len(bent):
        field = bend(params, space, device)
        turned = torch.einsum("nij,nj...->n...i", (params.matrix[params.bent] / half[:, None]).to(device), field)
        grid[bent] += turned.flip(-1)
    return grid


def bend(params: WarpParams, space: tuple[int, ...], device: torch.device) -> Float[Tensor, "bent ndim *space"]:
    """Return the displacements of the bent patches, in voxels of the result."""
    noise, knots = params.noise[params.bent].to(device), params.knots[params.bent].to(device)
    field = smooth(noise, space, params.sigma)
    for axis, size in enumerate(space):
        along = [1] * len(space)
        along[axis] = size
        field[:, axis] += spread_knots(knots[:, axis], size).reshape(-1, *along)
    return field


def _draw_turns(rng: torch.Generator, config: WarpConfig, batch: int, space: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    axes = range(len(space)) if config.flip_axes == "all" else config.flip_axes
    allowed = torch.tensor([config.flip and axis in axes for axis in range(len(space))])
    flip = draw_strikes(rng, 0.5, batch * len(space)).reshape(batch, -1) & allowed
    turns = torch.randint(4, (batch,), generator=rng) * int(config.rotate90)
    return flip, turns if space[-1] == space[-2] else turns // 2 * 2


def _draw_matrix(rng: torch.Generator, config: WarpConfig, batch: int, ndim: int) -> Tensor:
    axes = 2 if config.in_plane else ndim
    rotated, sheared, scaled = (draw_strikes(rng, p, batch) for p in (config.rotation, config.shear, config.scale))
    angles, slants = (
        draw_values(rng, (-math.radians(most), math.radians(most)), (batch, len(planes(axes)))) * struck[:, None]
        for most, struck in ((config.degrees, rotated), (config.shear_degrees, sheared))
    )
    zoom = torch.where(scaled, draw_factors(rng, config.scale_range, (batch,)), 1.0)
    matrix = rotation_matrices(angles, axes) @ shear_matrices(slants, axes) / zoom[:, None, None]
    voxel = (1.0,) * ndim if config.voxel == "cube" else config.voxel
    return widen(in_voxels(matrix, voxel[ndim - axes :]), ndim)


def _draw_pull(
    rng: torch.Generator, config: WarpConfig, struck: Tensor, space: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    axes, most = 2 if config.in_plane else len(space), config.elastic_affine
    moves = draw_values(rng, (-most, most), (len(struck), axes + 1, axes)) * struck[:, None, None]
    matrix, shift = pull_corners(moves, max(min(space[-axes:]) / 3, 1.0))
    return widen(matrix, len(space)), F.pad(shift, (len(space) - axes, 0))


def _draw_noise(rng: torch.Generator, config: WarpConfig, struck: Tensor, space: tuple[int, ...]) -> Tensor:
    still = len(space) - 2 if config.in_plane else 0
    nodes = [count_nodes(size, config.elastic_sigma) for size in space[still:]] if struck.any() else [1] * len(space)
    noise = torch.randn(len(struck), len(space), *[1] * (len(space) - len(nodes)), *nodes, generator=rng)
    noise[:, :still] = 0
    noise[~struck] = 0
    return noise * displacement_std(config.elastic_alpha, config.elastic_sigma, len(space) - still)


def _draw_knots(rng: torch.Generator, config: WarpConfig, struck: Tensor, space: tuple[int, ...]) -> Tensor:
    limit = config.grid_limit
    knots = draw_cells(draw_values(rng, (1 - limit, 1 + limit), (len(struck), len(space), config.grid_cells)), space)
    knots[:, : len(space) - 2 if config.in_plane else 0] = 0
    knots[~struck] = 0
    return knots
