"""Each movement moves as it says: by how much, along which axes, and in which patches."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ushape.core.errors import ConfigError
from ushape.patches.affine import displacement_std, pull_corners
from ushape.patches.bend import count_nodes, smooth
from ushape.patches.lookup import look_up_linear, look_up_nearest, mirror_places
from ushape.patches.warp import Bend, WarpConfig, WarpParams, apply_warp, displace, draw_warp

STILL = {"flip": False, "rotate90": False, "rotation": 0.0, "scale": 0.0}
MOVES = ["rotation", "shear", "scale", "elastic", "grid_distortion"]


def drawn(space: tuple[int, ...], batch: int = 4, seed: int = 0, **fields: object) -> WarpParams:
    config = WarpConfig.model_validate({**STILL, **fields})
    return draw_warp(np.random.default_rng(seed), config, torch.Size((batch, 1, *space)))


def bends(params: WarpParams) -> Bend:
    assert params.bend is not None
    return params.bend


def smooth_image(batch: int, space: tuple[int, ...]) -> torch.Tensor:
    noise = torch.randn(
        batch, 1, *(count_nodes(size, 4.0) for size in space), generator=torch.Generator().manual_seed(9)
    )
    return smooth(noise, space, 4.0)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("space", [(12, 16), (6, 8, 10)])
def test_each_movement_strikes_its_share_of_patches_and_leaves_the_others(move: str, space: tuple[int, ...]) -> None:
    image, label = torch.rand(40, 1, *space), torch.zeros(40, *space, dtype=torch.int16)
    params = drawn(space, 40, **{move: 0.5})
    changed = (apply_warp(params, image, label)[0] != image).flatten(1).any(1)
    assert torch.equal(changed.nonzero().flatten(), params.struck)
    assert 10 <= int(changed.sum()) <= 30
    assert len(drawn(space, 40, **{move: 1.0}).struck) == 40
    assert not len(drawn(space, 40).struck)


@pytest.mark.parametrize(
    "fields",
    [
        {"rotation": 1.0, "degrees": 0.0},
        {"shear": 1.0, "shear_degrees": 0.0},
        {"scale": 1.0, "scale_range": (1.0, 1.0)},
        {"elastic": 1.0, "elastic_alpha": 0.0},
        {"grid_distortion": 1.0, "grid_limit": 0.0},
    ],
)
def test_a_movement_by_nothing_changes_no_bit(fields: dict[str, object]) -> None:
    image, label = torch.rand(4, 1, 12, 16), torch.randint(9, (4, 12, 16))
    moved = apply_warp(drawn((12, 16), **fields), image, label)
    assert torch.equal(moved[0], image)
    assert torch.equal(moved[1], label)


@pytest.mark.parametrize("space", [(48, 40), (20, 24, 28)])
@pytest.mark.parametrize("move", MOVES)
def test_a_label_made_from_the_image_by_a_threshold_still_fits_after_each_movement(
    move: str, space: tuple[int, ...]
) -> None:
    image = smooth_image(3, space)
    label = (image[:, 0] > 0).to(torch.int16)
    params = drawn(space, 3, **{move: 1.0, "flip": True, "rotate90": True})
    moved, classes = apply_warp(params, image, label)
    assert ((moved[:, 0] > 0) == (classes == 1)).float().mean() > 0.97
    assert (classes != label).float().mean() > 0.03


def test_classes_that_overlap_move_like_one_class_each() -> None:
    image = smooth_image(3, (32, 40))
    apart = torch.cat([image > 0, image > 0.5, image < 0.2], dim=1)
    params = drawn((32, 40), 3, rotation=1.0, elastic=1.0, flip=True, rotate90=True)
    _, moved = apply_warp(params, image, apart)
    assert moved.dtype == torch.bool
    for index in range(3):
        _, alone = apply_warp(params, image, apart[:, index].to(torch.int16))
        assert torch.equal(moved[:, index], alone == 1)


def test_the_ignored_index_stays_what_it_is() -> None:
    label = torch.full((2, 16, 16), -1, dtype=torch.int16)
    label[:, :, 8:] = 3
    _, moved = apply_warp(drawn((16, 16), 2, rotation=1.0, degrees=90.0), torch.zeros(2, 1, 16, 16), label)
    assert set(moved.unique().tolist()) == {-1, 3}


def test_only_the_named_axes_are_flipped() -> None:
    flip = drawn((4, 6, 8), 50, flip=True, flip_axes=(2,)).flip
    assert flip.any(0).tolist() == [False, False, True]


@pytest.mark.parametrize(("fields", "message"), [({"flip_axes": (2,)}, "flip_axes"), ({"voxel": (1.0,)}, "voxel")])
def test_axes_that_do_not_exist_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"augment.warp.{message}: expected"):
        drawn((8, 8), **fields)


@pytest.mark.parametrize("move", MOVES)
def test_in_plane_every_slice_moves_like_the_first_and_none_into_another(move: str) -> None:
    space = (5, 24, 24)
    height = torch.arange(5.0).reshape(1, 1, 5, 1, 1)
    image = (height + smooth_image(2, space)[:, :, :1] * 0.01).expand(2, 1, *space).contiguous()
    params = drawn(space, 2, **{move: 1.0}, in_plane=True, elastic_affine=3.0)
    moved, _ = apply_warp(params, image, torch.zeros(2, *space, dtype=torch.int16))
    assert not torch.equal(moved, image)
    assert torch.allclose(moved - height, moved[:, :, :1].expand_as(moved), atol=1e-4)


def test_a_ball_in_voxels_that_are_not_cubes_stays_a_ball() -> None:
    voxel, places = (3.0, 1.0, 1.0), [torch.arange(size) - (size - 1) / 2 for size in (12, 36, 36)]
    z, y, x = torch.meshgrid(*(place * side for place, side in zip(places, voxel, strict=True)), indexing="ij")
    image = (z**2 + y**2 + x**2).sqrt()[None, None]
    params = drawn((12, 36, 36), 1, rotation=1.0, degrees=30.0, voxel=voxel)
    moved, _ = apply_warp(params, image, torch.zeros(1, 12, 36, 36, dtype=torch.int16))
    inside = image < 12
    assert (moved - image)[inside].abs().max() < 0.6
    wrong, _ = apply_warp(drawn((12, 36, 36), 1, rotation=1.0, degrees=30.0), image, torch.zeros(1, 12, 36, 36).short())
    assert (wrong - image)[inside].abs().max() > 3


def test_elastic_displacements_have_the_guides_strength_everywhere() -> None:
    params = drawn((96, 128), 200, elastic=1.0, elastic_alpha=120.0, elastic_sigma=6.0)
    std = displace(bends(params), (96, 128), torch.device("cpu")).std(0)
    assert math.isclose(float(std.mean()), displacement_std(120.0, 6.0, 2), rel_tol=0.03)
    assert float(std.min()) > 0.75 * float(std.mean())


def test_smoothed_noise_is_as_alike_at_a_distance_as_a_gaussian_filter_makes_it() -> None:
    noise = torch.randn(400, 1, count_nodes(64, 6.0), generator=torch.Generator().manual_seed(0))
    field = smooth(noise, (64,), 6.0)[:, 0]
    alike = (field[:, 20:40] * field[:, 28:48]).mean() / field[:, 20:40].var()
    assert math.isclose(float(alike), math.exp(-((8 / 6) ** 2) / 4), abs_tol=0.08)


def test_grid_distortion_keeps_the_order_of_voxels_and_the_ends() -> None:
    params = drawn((50, 40), 20, grid_distortion=1.0, grid_limit=0.9, grid_cells=5)
    field = displace(bends(params), (50, 40), torch.device("cpu"))
    for axis, size in enumerate((50, 40)):
        places = torch.arange(size).reshape([-1, 1] if axis == 0 else [1, -1]) + field[:, axis]
        assert (places.diff(dim=axis + 1) > 0).all()
        assert field[:, axis].select(axis + 1, 0).abs().max() < 1
        assert field[:, axis].abs().max() > 2


def test_pulled_corners_arrive_where_they_were_pulled_to() -> None:
    moves = np.random.default_rng(0).normal(size=(2, 4, 3))
    matrix, shift = pull_corners(moves, 7.0)
    corners = np.array([[7.0, 7, 7], [-7, 7, 7], [-7, -7, 7], [-7, -7, -7]])
    arrived = np.einsum("bij,cj->bci", matrix, corners) + shift[:, None]
    assert np.allclose(arrived, corners + moves)


@pytest.mark.parametrize("space", [(20, 24), (8, 20, 16)])
def test_looking_up_is_what_torch_does_with_one_grid(space: tuple[int, ...]) -> None:
    image = torch.rand(2, 3, *space)
    label = torch.randint(-1, 5, (2, 1, *space))
    size = torch.tensor(space).reshape(-1, *[1] * len(space))
    wild = (torch.rand(2, len(space), *space, generator=torch.Generator().manual_seed(1)) * 2 - 0.5) * size
    grid = (wild * 2 / size - 1).movedim(1, -1).flip(-1)
    places = mirror_places(wild, space)
    expected = F.grid_sample(image, grid, "bilinear", "reflection", align_corners=False)
    assert torch.allclose(look_up_linear(image, places), expected, atol=1e-4)
    nearest = F.grid_sample(label.float(), grid, "nearest", "reflection", align_corners=False)
    assert (look_up_nearest(label, places) == nearest).float().mean() > 0.999  # all but places between two voxels
