"""Augmentation moves image and label together, invents no class, and repeats itself for the same seed."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ushape.patches.affine import rotation_matrices
from ushape.patches.augment import AugmentConfig, augment
from ushape.patches.shade import ShadeConfig
from ushape.patches.warp import WarpConfig, apply_warp, draw_warp

NO_SHADE = ShadeConfig(brightness=0, contrast=0, gamma=0, noise=0)
ALL_SHADES = ShadeConfig(brightness=1, contrast=1, gamma=1, noise=1)
EXTRA_SHADES = ("saturation", "gray", "hue", "inversion", "blur", "offset", "low_resolution", "gamma_inverted")
STILL = WarpConfig(flip=False, rotate90=False, rotation=0, scale=0)


def a_batch(space: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    label = torch.randint(0, 9, (4, *space), generator=torch.Generator().manual_seed(1))
    return torch.stack([label.float(), 10 + label.float()], dim=1), label


@pytest.mark.parametrize("space", [(8, 8), (6, 10), (4, 6, 6), (4, 6, 8)])
@pytest.mark.parametrize("step", range(5))
def test_image_and_label_move_together(space: tuple[int, ...], step: int) -> None:
    image, label = augment(
        *a_batch(space), AugmentConfig(warp=WarpConfig(rotation=0, scale=0), shade=NO_SHADE), (7, step)
    )
    assert torch.equal(image[:, 0], label.float())
    assert torch.equal(image[:, 1], 10 + label.float())
    assert label.shape == (4, *space)


def test_the_same_seed_gives_the_same_batch_and_another_one_does_not() -> None:
    image, label = a_batch((16, 16))
    first, again, other = (augment(image, label, AugmentConfig(), (0, step))[0] for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_any_augmentation_nothing_changes() -> None:
    image, label = a_batch((8, 8))
    config = AugmentConfig(warp=STILL, shade=NO_SHADE)
    same = augment(image, label, config, (0, 0))
    assert torch.equal(same[0], image)
    assert torch.equal(same[1], label)


def test_shading_changes_values_and_leaves_the_label_alone() -> None:
    image, label = a_batch((16, 16))
    config = AugmentConfig(warp=STILL, shade=ALL_SHADES)
    shaded, same = augment(image, label, config, (0, 0))
    assert torch.equal(same, label)
    assert torch.isfinite(shaded).all()
    assert (shaded != image).float().mean() > 0.9


def test_a_constant_patch_survives_shading() -> None:
    image, label = torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long)
    config = AugmentConfig(shade=ShadeConfig(brightness=1, contrast=1, gamma=1, noise=0))
    assert torch.isfinite(augment(image, label, config, (0, 0))[0]).all()


def test_flips_and_turns_come_about_as_often_as_they_should() -> None:
    params = draw_warp(np.random.default_rng(0), WarpConfig(), torch.Size((4000, 1, 8, 8)))
    assert np.allclose(params.flip.mean(0), 0.5, atol=0.03)
    assert np.allclose(np.bincount(params.turns) / 4000, 0.25, atol=0.03)


def test_a_patch_that_is_not_square_is_never_turned_by_90_degrees() -> None:
    params = draw_warp(np.random.default_rng(0), WarpConfig(), torch.Size((100, 1, 8, 10)))
    assert set(params.turns.tolist()) == {0, 2}


BEND = WarpConfig(
    flip=False, rotate90=False, rotation=1, degrees=40, scale=1, elastic=1, elastic_alpha=400, elastic_sigma=8
)


@pytest.mark.parametrize("space", [(24, 24), (20, 32), (12, 16, 20)])
def test_bending_invents_no_class_and_keeps_image_and_label_together(space: tuple[int, ...]) -> None:
    corner = torch.zeros(3, *space, dtype=torch.int16)
    corner[(slice(None), *(slice(0, size // 2) for size in space))] = 7
    image, label = augment(corner[:, None].float(), corner, AugmentConfig(warp=BEND, shade=NO_SHADE), (1, 2))
    assert set(label.unique().tolist()) == {0, 7}
    assert label.dtype == torch.int16
    assert not torch.equal(label, corner)
    assert ((image[:, 0] > 3.5) == (label == 7)).float().mean() > 0.95


def test_a_quarter_rotation_by_resampling_is_the_exact_one() -> None:
    image = torch.rand(1, 1, 9, 9)
    still = draw_warp(np.random.default_rng(0), STILL, image.shape)
    matrix = torch.from_numpy(rotation_matrices(np.array([[math.pi / 2]]), 2)).float()
    params = dataclasses.replace(still, matrix=matrix, shift=torch.zeros(1, 2), struck=torch.tensor([0]))
    moved, _ = apply_warp(params, image, torch.zeros(1, 9, 9, dtype=torch.long))
    exact = [torch.rot90(image, turns, (2, 3)) for turns in (1, 3)]
    assert any(torch.allclose(moved, turned, atol=1e-5) for turned in exact)


def test_zooming_in_shows_the_centre_larger() -> None:
    label = torch.zeros(1, 32, 32, dtype=torch.long)
    label[:, 12:20, 12:20] = 1
    config = WarpConfig(flip=False, rotate90=False, rotation=0, scale=1, scale_range=(1.5, 1.5))
    _, moved = augment(label[:, None].float(), label, AugmentConfig(warp=config, shade=NO_SHADE), (0, 0))
    assert 11**2 <= int(moved.sum()) <= 13**2


def test_rotation_keeps_proportions_in_patches_that_are_not_square() -> None:
    label = torch.zeros(1, 32, 64, dtype=torch.long)
    label[:, 12:20, 28:36] = 1
    config = WarpConfig(flip=False, rotate90=False, rotation=1, degrees=180, scale=0)
    for step in range(4):
        _, moved = augment(label[:, None].float(), label, AugmentConfig(warp=config, shade=NO_SHADE), (0, step))
        assert 58 <= int(moved[:, 10:22, 26:38].sum()) <= 70  # further out there are mirror images


@pytest.mark.parametrize("space", [(16, 16), (8, 12, 12)])
def test_applying_reads_no_value_back_from_the_device(space: tuple[int, ...]) -> None:
    """On "meta" nothing has a value: whatever would leave the device, to steer or to compute, fails there."""
    image, label = torch.zeros(2, 3, *space, device="meta"), torch.zeros(2, *space, device="meta", dtype=torch.int16)
    fields = dict.fromkeys((*ALL_SHADES.model_fields_set, *EXTRA_SHADES), 1.0)
    shade = ShadeConfig.model_validate(fields | {"noise": 0.0})  # torch has no generator for this device
    moved, classes = augment(image, label, AugmentConfig(warp=BEND, shade=shade), (0, 0))
    assert (moved.device.type, classes.device.type) == ("meta", "meta")
    assert (moved.shape, classes.dtype) == (image.shape, torch.int16)
