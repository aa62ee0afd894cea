"""Spatial augmentation: move voxels, image and label together. Drawing is apart from applying.

Flips and quarter turns are exact. Rotation, shear, scale, elastic deformation and grid distortion are one map of
coordinates and cost one resampling, on the device of the batch, in 2D and 3D.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from numpy import ndarray
from pydantic import Field
from torch import Tensor

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
from ushape.patches.bend import count_nodes, move_knots, smooth, spread_knots
from ushape.patches.chance import NotNegative, Positive, PositiveRange, Probability, draw_factors, draw_struck
from ushape.patches.lookup import look_up_linear, look_up_nearest, mirror_places
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
class Bend:
    """How struck patches are deformed by more than an affine map.

    Attributes:
        rows: among the struck patches.
        noise: of elastic deformation, in voxels, at its nodes.
        sigma: its smoothness, in voxels.
        knots: displacements of grid distortion, in voxels, along each axis.
    """

    rows: Int[Tensor, " bent"]
    noise: Float[Tensor, "bent ndim *nodes"]
    sigma: float
    knots: Float[Tensor, "bent ndim knots"]


@dataclass(frozen=True)
class WarpParams:
    """What was drawn for one batch. A voxel x of a struck patch is taken from matrix (x + bend(x)) + shift.

    Attributes:
        flip: whether each axis of each patch is mirrored.
        turns: quarter turns of the last two axes of each patch.
        struck: the patches that are resampled; the rows of `matrix` and `shift` are theirs.
        matrix: acts on places relative to the centre, in voxels.
        shift: in voxels.
        bend: None where every map is affine.
    """

    flip: Bool[ndarray, "b ndim"]
    turns: Int[ndarray, " b"]
    struck: Int[Tensor, " struck"]
    matrix: Float[Tensor, "struck ndim ndim"]
    shift: Float[Tensor, "struck ndim"]
    bend: Bend | None


def draw_warp(rng: np.random.Generator, config: WarpConfig, shape: torch.Size) -> WarpParams:
    """Draw the parameters for a batch of `shape` (b, channels, *space).

    Raises:
        ConfigError: the settings do not fit the number of axes.
    """
    batch, _, *sizes = shape
    space = tuple(sizes)
    config.check(len(space))
    flip, turns = _draw_turns(rng, config, batch, space)
    matrix, shift = _draw_affine(rng, config, batch, len(space)), np.zeros((batch, len(space)))
    elastic, distorted = (draw_struck(rng, p, batch) for p in (config.elastic, config.grid_distortion))
    if config.elastic_affine and len(elastic):
        pulled, pull = _draw_pull(rng, config, len(elastic), space)
        shift[elastic] = (matrix[elastic] @ pull[:, :, None])[:, :, 0]
        matrix[elastic] = matrix[elastic] @ pulled
    bent = np.union1d(elastic if config.elastic_alpha else [], distorted if config.grid_limit else []).astype(int)
    moved = (matrix != np.eye(len(space))).reshape(batch, -1).any(axis=1) | shift.any(axis=1)
    moved[bent] = True
    struck = np.flatnonzero(moved)
    return WarpParams(
        flip=flip,
        turns=turns,
        struck=torch.from_numpy(struck),
        matrix=torch.from_numpy(matrix[struck].astype(np.float32)),
        shift=torch.from_numpy(shift[struck].astype(np.float32)),
        bend=Bend(
            rows=torch.from_numpy(np.searchsorted(struck, bent)),
            noise=torch.from_numpy(_draw_noise(rng, config, np.isin(bent, elastic), space)),
            sigma=config.elastic_sigma,
            knots=torch.from_numpy(_draw_knots(rng, config, np.isin(bent, distorted), space)),
        )
        if len(bent)
        else None,
    )


def apply_warp(
    params: WarpParams, image: Float[Tensor, "b channels *space"], label: Label
) -> tuple[Float[Tensor, "b channels *space"], Label]:
    """Move the voxels of a batch: the image linearly, the label by its nearest voxel, what lies outside mirrored in."""
    image, label = (turn_and_flip(each, params.flip, params.turns) for each in (image, label))
    if not len(params.struck):
        return image, label
    struck = params.struck.to(image.device)
    places = find_places(params, tuple(image.shape[2:]), image.device)
    moved = look_up_linear(image.index_select(0, struck), places)
    classes = label.index_select(0, struck)
    chosen = look_up_nearest(classes if label.ndim == image.ndim else classes[:, None], places)
    return image.index_copy(0, struck, moved), label.index_copy(0, struck, chosen.reshape(classes.shape))


def find_places(
    params: WarpParams, space: tuple[int, ...], device: torch.device
) -> Float[Tensor, "struck ndim *space"]:
    """Return where each voxel of the struck patches is taken from, in voxels from the edge; never outside."""
    matrix, shift = params.matrix.to(device), params.shift.to(device)
    half = torch.tensor(space, device=device) / 2
    places = (shift + half).reshape(*shift.shape, *[1] * len(space))
    for axis, size in enumerate(space):
        along = torch.arange(0.5 - size / 2, size / 2, device=device)
        shape = [size if other == axis else 1 for other in range(len(space))]
        places = places + (matrix[:, :, axis, None] * along).reshape(*shift.shape, *shape)
    if params.bend is not None:
        rows = params.bend.rows.to(device)
        turned = torch.bmm(matrix[rows], displace(params.bend, space, device).flatten(2))
        places.index_add_(0, rows, turned.reshape(-1, *places.shape[1:]))
    return mirror_places(places, space)


def displace(bend: Bend, space: tuple[int, ...], device: torch.device) -> Float[Tensor, "bent ndim *space"]:
    """Return the displacements of the bent patches, in voxels of the result."""
    field = smooth(bend.noise.to(device), space, bend.sigma)
    knots = bend.knots.to(device)
    for axis, size in enumerate(space):
        shape = [size if other == axis else 1 for other in range(len(space))]
        field[:, axis] += spread_knots(knots[:, axis], size).reshape(-1, *shape)
    return field


def _draw_turns(
    rng: np.random.Generator, config: WarpConfig, batch: int, space: tuple[int, ...]
) -> tuple[ndarray, ndarray]:
    axes = range(len(space)) if config.flip_axes == "all" else config.flip_axes
    allowed = np.array([config.flip and axis in axes for axis in range(len(space))])
    turns = rng.integers(4, size=batch) * int(config.rotate90)
    return (rng.random((batch, len(space))) < 0.5) & allowed, turns if space[-1] == space[-2] else turns // 2 * 2


def _draw_affine(rng: np.random.Generator, config: WarpConfig, batch: int, ndim: int) -> Float[ndarray, "b ndim ndim"]:
    """Draw rotation, shear and scale for every patch; one that nothing strikes gets exactly the identity."""
    axes = 2 if config.in_plane else ndim
    matrix = np.eye(axes)[None].repeat(batch, axis=0)
    for make, probability, degrees in (
        (rotation_matrices, config.rotation, config.degrees),
        (shear_matrices, config.shear, config.shear_degrees),
    ):
        struck = draw_struck(rng, probability, batch)
        if len(struck):
            angles = np.radians(rng.uniform(-degrees, degrees, (len(struck), len(planes(axes)))))
            matrix[struck] = matrix[struck] @ make(angles, axes)
    scaled = draw_struck(rng, config.scale, batch)
    matrix[scaled] /= draw_factors(rng, config.scale_range, (len(scaled), 1, 1))
    voxel = (1.0,) * ndim if config.voxel == "cube" else config.voxel
    return widen(in_voxels(matrix, voxel[ndim - axes :]), ndim)


def _draw_pull(
    rng: np.random.Generator, config: WarpConfig, count: int, space: tuple[int, ...]
) -> tuple[ndarray, ndarray]:
    axes, most = 2 if config.in_plane else len(space), config.elastic_affine
    matrix, shift = pull_corners(rng.uniform(-most, most, (count, axes + 1, axes)), max(min(space[-axes:]) / 3, 1.0))
    return widen(matrix, len(space)), np.pad(shift, ((0, 0), (len(space) - axes, 0)))


def _draw_noise(
    rng: np.random.Generator, config: WarpConfig, is_struck: ndarray, space: tuple[int, ...]
) -> Float[ndarray, "bent ndim *nodes"]:
    still = len(space) - 2 if config.in_plane else 0
    nodes = [1] * still + [count_nodes(size, config.elastic_sigma) for size in space[still:]]
    noise = np.zeros((len(is_struck), len(space), *nodes), dtype=np.float32)
    std = displacement_std(config.elastic_alpha, config.elastic_sigma, len(space) - still)
    noise[is_struck, still:] = std * rng.standard_normal((is_struck.sum(), len(space) - still, *nodes))
    return noise


def _draw_knots(
    rng: np.random.Generator, config: WarpConfig, is_struck: ndarray, space: tuple[int, ...]
) -> Float[ndarray, "bent ndim knots"]:
    still, limit = len(space) - 2 if config.in_plane else 0, config.grid_limit
    knots = np.zeros((len(is_struck), len(space), config.grid_cells + 1), dtype=np.float32)
    widths = rng.uniform(1 - limit, 1 + limit, (int(is_struck.sum()), len(space) - still, config.grid_cells))
    knots[is_struck, still:] = move_knots(widths, space[still:])
    return knots
