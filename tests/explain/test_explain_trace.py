"""What is told of an image's walk through a network, and of one voxel's."""

import numpy as np
import pytest
import torch
from tests.explain.planted import bright_net, cube

from ushape.core.case import Case, Geometry
from ushape.explain.levels import find_voxels, spread
from ushape.explain.story import find_place, follow_value
from ushape.explain.trace import View, read_back, trace_image
from ushape.nets.config import UNetConfig
from ushape.nets.cost import measure_cost
from ushape.nets.unet import UNet
from ushape.prep.fit import FitConfig
from ushape.prep.intensity import Clip, MinMax, ZScore
from ushape.prep.pipeline import Pipeline, PrepConfig
from ushape.prep.resample import ResampleConfig

VALID = {"padding": "valid", "norm": "none"}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "space"),
    [
        ({"skip": "gate"}, (21, 30)),
        ({"ndim": 3, "in_channels": 2}, (9, 12, 7)),
        ({"block": VALID, "align": "crop"}, (44, 44)),
        ({"widths": (4, 8, 12), "down": "stride"}, (5, 7)),
    ],
    ids=["gates", "3D", "unpadded", "smaller than the network"],
)
def test_the_trace_is_the_layer_table_with_what_every_row_keeps(changes: dict, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    config = UNetConfig(**{"widths": (4, 8), **changes})
    image = noise(config.in_channels, *space)
    traced = trace_image(UNet(config).eval(), View(image, image[0], tuple(size // 2 for size in space)))
    assert tuple(each.row for each in traced) == measure_cost(config, space).rows
    for each in traced:
        assert 0 <= each.image_kept <= 1
        assert each.maps.shape[1:] == each.row.shape[-2:]


def test_the_image_fades_on_the_way_down_and_comes_back_at_the_join() -> None:
    image = np.abs(noise(1, 32, 32))
    net = bright_net(gate=0.0)
    kept = {each.row.stage: each.image_kept for each in trace_image(net, View(image, image[0], (3, 4)))}
    assert kept["encoder.levels.0.0.0"] > 0.99  # it is the image
    assert kept["encoder.levels.1.0.0"] < 0.4  # the largest of four
    assert kept["decoder.0.join"] > 0.99


def test_nothing_is_read_back_from_constants_that_rounding_makes_vary() -> None:
    values = np.linspace(0.1, 1, 50, dtype=np.float32)
    constant = np.repeat(values[None], 8192, axis=0)
    assert (constant.std(axis=0) > 0).any()
    assert read_back(constant, noise(8192, 1)) == pytest.approx(0, abs=1e-3)
    assert np.isnan(read_back(noise(8192, 1), constant))


def test_silent_channels_and_zeros_are_counted() -> None:
    image = cube(2)[None]
    first = trace_image(bright_net(), View(image, image[0], (15, 15)))[0]
    assert (first.silent, first.zeros) == (3, pytest.approx(1 - 14 * 14 / (4 * 40 * 40)))
    assert first.strongest[0] == 0


def test_tracing_leaves_no_hook_behind() -> None:
    net = bright_net()
    image = cube(2)[None]
    trace_image(net, View(image, image[0], (1, 1)))
    assert not any(module._forward_hooks for module in net.modules())


def test_reading_back_is_tested_on_what_was_not_fitted() -> None:
    rng = np.random.default_rng(0)
    assert read_back(rng.normal(size=(4000, 30)), rng.normal(size=(4000, 1))) < 0.02
    assert np.isnan(read_back(rng.normal(size=(10, 2)), np.ones((10, 1))))


def test_voxels_of_levels_without_padding_are_found_by_counting() -> None:
    """Two convolutions take two voxels off each side, a pooling halves, two more convolutions take two off."""
    places = np.array([[20, 50], [33, 71]])
    found = find_voxels(places, (2, 2), (40, 40), (92, 92), centred=True)
    assert np.abs(found - ((places - 2) // 2 - 2)).max() <= 1


def test_a_level_lies_on_the_image_where_its_voxels_came_from() -> None:
    level = torch.zeros(1, 1, 5, 5)
    level[0, 0, 2, 3] = 1
    on_image = spread(level, (4, 4), (18, 20), centred=False)[0, 0]
    assert on_image.shape == (18, 20)
    centre = (on_image * torch.arange(18.0)[:, None]).sum() / on_image.sum()
    assert centre == pytest.approx(4 * 2 + 1.5)


@pytest.mark.parametrize(
    "config",
    [
        PrepConfig(intensity=(Clip(low=-1, high=1), ZScore())),
        PrepConfig(orientation="canonical", crop="nonzero", intensity=(MinMax(),), fit=FitConfig(size=(12, 14, 9))),
        PrepConfig(resample=ResampleConfig(spacing=(2.0, 1.5, 1.0), unit="mm"), intensity=(ZScore(),)),
    ],
    ids=["values", "turned, cropped and fitted", "resampled"],
)
def test_the_story_ends_with_the_value_that_the_network_sees(config: PrepConfig) -> None:
    affine = np.array([[0, 0, -1.0, 5], [0, 1.5, 0, 0], [2.0, 0, 0, 1], [0, 0, 0, 1]])
    image = noise(2, 11, 13, 10)
    image[:, :2] = 0
    case = Case("a", image, Geometry.from_affine(affine))
    prepared, _ = Pipeline(config).forward(case)
    place = (6, 5, 4)
    story = follow_value(case, config, place)
    assert story.place is not None
    assert story.steps[0].values == tuple(image[:, 6, 5, 4].tolist())
    seen = np.asarray(prepared.image)[(slice(None), *story.place)]
    np.testing.assert_allclose(story.steps[-1].values, seen, rtol=1e-5)
    assert [step.name for step in story.steps if step.name != "resample"][1:] == [s.name for s in config.intensity]


def test_a_voxel_that_was_cropped_off_has_no_place() -> None:
    image = np.pad(np.ones((1, 4, 4), dtype=np.float32), [(0, 0), (3, 3), (3, 3)])
    case = Case("a", image, Geometry.pixels(2))
    story = follow_value(case, PrepConfig(crop="nonzero"), (0, 1))
    assert (story.place, len(story.steps)) == (None, 1)
    assert follow_value(case, PrepConfig(crop="nonzero"), (4, 5)).place == (1, 2)


def test_places_are_found_on_turned_grids() -> None:
    turned = Geometry.from_affine(np.array([[0, -1.0, 9], [1.0, 0, 0], [0, 0, 1]]), "px")
    place = find_place(Geometry.pixels(2), (2, 3), turned, (20, 20))
    assert place is not None
    assert place != (2, 3)
    assert find_place(turned, place, Geometry.pixels(2), (20, 20)) == (2, 3)
