"""Laws of the plan: whatever the data set, the recipe fits it, is buildable and says why; and single rules."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.fingerprints import EXTREMES, classes, ct, fingerprint

from ushape.nets.unet import UNet
from ushape.plan.intensity import choose_intensity, find_ct
from ushape.plan.reasons import HABITS, value_at
from ushape.plan.recipe import Recipe, read_recipe, to_toml
from ushape.plan.rules import make_plan
from ushape.plan.shape import choose_kernels, choose_patch_size, choose_strides
from ushape.plan.space import Grid, choose_crop, choose_spacing, plan_grid, target_spacing
from ushape.prep.intensity import DatasetStats, ZScore

LENGTHS = st.integers(1, 3000)
STEPS = st.floats(0.1, 10)
SIZES = st.one_of(st.tuples(LENGTHS, LENGTHS), st.tuples(LENGTHS, LENGTHS, LENGTHS))
GRIDS = SIZES.flatmap(lambda size: st.tuples(st.just(size), st.tuples(*[STEPS] * len(size))))
Drawn = tuple[tuple[int, ...], tuple[float, ...]]
COUNTS = st.fixed_dictionaries({"cases": st.integers(1, 5000), "channels": st.integers(1, 6)})


@given(SIZES, COUNTS, st.integers(2, 8))
@settings(max_examples=40)
def test_any_data_set_gets_a_complete_recipe_that_reads_back(
    size: tuple[int, ...], counts: dict[str, int], count: int
) -> None:
    labels = classes(count)
    recipe, reasons = make_plan(fingerprint(size, **counts), labels)
    assert recipe.data.labels == labels
    assert (recipe.net.ndim, recipe.net.in_channels, recipe.net.classes) == (len(size), counts["channels"], count)
    assert recipe.patches.batch >= 2
    assert read_recipe(to_toml(recipe, reasons), "recipe") == recipe
    assert all(reasons.values())


@given(GRIDS)
def test_every_level_divides_the_patch_and_keeps_voxels(drawn: Drawn) -> None:
    grid = Grid(*drawn)
    strides = choose_strides(grid).value
    patch = choose_patch_size(grid, strides).value
    total = [math.prod(column) for column in zip(*strides, strict=True)]
    assert 2 <= len(strides) <= 4
    assert all(length % factor == 0 for length, factor in zip(patch, total, strict=True))
    assert math.prod(length // factor for length, factor in zip(patch, total, strict=True)) > 1
    assert len(choose_kernels(grid, strides).value) == len(strides)


@given(GRIDS)
def test_a_patch_is_bounded_by_the_image_and_by_what_a_step_may_cost(drawn: Drawn) -> None:
    grid = Grid(*drawn)
    patch = choose_patch_size(grid, choose_strides(grid).value).value
    assert all(length < full + 16 for length, full in zip(patch, grid.size, strict=True))
    assert math.prod(patch) <= {2: 4 * 128**2, 3: 4 * 64**3}[len(patch)]


@pytest.mark.parametrize("name", [name for name, (facts, _) in EXTREMES.items() if facts.ndim == 3])
def test_nets_for_extreme_volumes_can_be_built_and_take_their_patch(name: str) -> None:
    recipe, _ = make_plan(*EXTREMES[name])
    thin = recipe.net.model_copy(update={"widths": (2,) * len(recipe.net.widths)})
    patch = tuple(max(length // 4, 1) for length in recipe.patches.size)
    with torch.no_grad():
        logits = UNet(thin)(torch.zeros(1, thin.in_channels, *patch))
    assert logits.shape == (1, thin.classes, *patch)


def test_a_step_is_about_as_dear_for_small_images_as_for_large_ones() -> None:
    costs = []
    for size in ((64, 64), (256, 256), (2000, 2000)):
        patches = make_plan(fingerprint(size, cases=500), classes(2))[0].patches
        costs.append(patches.batch * math.prod(patches.size))
    assert max(costs) <= 4 * min(costs)


def test_volumes_can_be_planned_slice_by_slice() -> None:
    recipe, reasons = make_plan(ct((30, 512, 400), spacing=(5.0, 0.5, 0.5)), classes(2), slices=True)
    assert (recipe.net.ndim, recipe.patches.size) == (2, (128, 128))
    assert len(recipe.predict.window.size) == 2
    assert "slice by slice" in reasons["net.ndim"]


def test_every_habit_that_is_explained_is_a_setting() -> None:
    recipe, reasons = make_plan(fingerprint((64, 64)), classes(2))
    for name in HABITS:
        value_at(recipe, name)
    assert set(HABITS) & set(reasons) == set()


THICK: dict[str, Any] = {"unit": "mm", "spacing": (5.0, 0.8, 0.8), "spacing_p10": (2.5, 0.7, 0.7)}


def test_the_target_spacing_is_the_median_but_finer_along_an_axis_that_is_far_coarser_and_shorter() -> None:
    assert target_spacing(fingerprint((40, 512, 512), **THICK)) == (2.5, 0.8, 0.8)
    assert target_spacing(fingerprint((300, 512, 512), **THICK)) == (5.0, 0.8, 0.8)  # not shorter
    assert target_spacing(fingerprint((40, 512, 512), **THICK | {"spacing": (2.0, 0.8, 0.8)})) == (2.0, 0.8, 0.8)
    assert target_spacing(fingerprint((40, 512, 512), **THICK | {"spacing_p10": (0.1,) * 3})) == (0.8, 0.8, 0.8)


@pytest.mark.parametrize(("low", "high", "changes"), [(0.96, 1.04, False), (0.9, 1.0, True), (1.0, 1.1, True)])
def test_nothing_is_resampled_for_differences_that_are_small(low: float, high: float, changes: bool) -> None:
    ends = {"unit": "mm", "spacing_min": (low, 1.0, 1.0), "spacing_max": (high, 1.0, 1.0)}
    chosen = choose_spacing(fingerprint((40, 40, 40), **ends)).value
    assert chosen == ((1.0, 1.0, 1.0) if changes else "none")


def test_nothing_is_resampled_whose_unit_is_not_known() -> None:
    facts = fingerprint((40, 40), spacing_max=(3.0, 3.0))
    assert choose_spacing(facts).value == "none"
    recipe, _ = make_plan(facts, classes(2))
    assert recipe.prep.resample.unit == "px"


def test_the_grid_of_the_plan_is_that_of_the_prepared_median_case() -> None:
    facts = fingerprint((40, 500, 500), content_size=(40, 400, 300), **THICK)
    assert plan_grid(facts, "none", (2.5, 1.0, 1.0)) == Grid((80, 400, 400), (2.5, 1.0, 1.0))
    assert plan_grid(facts, "nonzero", "none") == Grid((40, 400, 300), (5.0, 0.8, 0.8))


def test_an_empty_margin_is_cropped_where_it_is_one() -> None:
    empty = {"content_removed": 0.2, "unit": "mm"}
    assert choose_crop(fingerprint((9, 9, 9), **empty), is_ct=False).value == "nonzero"
    assert choose_crop(fingerprint((9, 9, 9), **empty | {"content_removed": 0.05}), is_ct=False).value == "none"
    assert choose_crop(fingerprint((9, 9, 9), **empty), is_ct=True).value == "none"
    assert choose_crop(fingerprint((9, 9), content_removed=0.9), is_ct=False).value == "none"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"channel_names": ("CT",), "value_range": (0.0, 1.0)}, True),  # the data set knows
        ({"channel_names": ("MRI",)}, False),
        ({"channel_names": ("CT", "PET"), "channels": 2}, False),
        ({"is_whole": False}, False),
        ({"median_low": 0.0}, False),
        ({"value_range": (-1024.0, 1.7e6)}, False),
        ({"unit": "px"}, False),
    ],
)
def test_ct_is_told_by_name_or_by_its_values(facts: dict[str, Any], expected: bool) -> None:
    assert find_ct(ct((9, 9, 9), **facts)).value is expected


def test_ct_is_standardised_by_its_foreground_and_all_else_image_by_image() -> None:
    (step,) = choose_intensity(ct((9, 9, 9))).value
    assert step == DatasetStats(low=(-80.0,), high=(240.0,), mean=(95.0,), std=(45.0,))
    assert choose_intensity(ct((9, 9, 9), foreground=())).value == (ZScore(),)
    assert choose_intensity(fingerprint((9, 9, 9))).value == (ZScore(),)
    assert choose_intensity(fingerprint((9, 9, 9), content_removed=0.3)).value == (ZScore(within="nonzero"),)
    assert choose_intensity(fingerprint((9, 9), content_removed=0.3)).value == (ZScore(),)


def test_axes_much_coarser_than_the_others_are_halved_and_looked_along_later() -> None:
    grid = Grid((30, 512, 512), (5.0, 0.5, 0.5))
    strides = choose_strides(grid).value
    assert strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    assert choose_kernels(grid, strides).value == ((1, 3, 3), (1, 3, 3), (1, 3, 3), (3, 3, 3))
    alike = Grid((64, 64, 64), (1.0, 1.0, 1.0))
    assert choose_strides(alike).value == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    short = Grid((9, 64, 64), (1.0, 1.0, 1.0))
    assert choose_strides(short).value == ((1, 1, 1), (2, 2, 2), (1, 2, 2), (1, 2, 2))


@pytest.mark.parametrize("levels", [2, 3, 6])
def test_a_net_of_so_many_levels_as_a_user_wants_has_a_stride_for_each(levels: int) -> None:
    recipe, _ = make_plan(ct((30, 512, 512), spacing=(5.0, 0.5, 0.5)), classes(2), levels=levels)
    assert len(recipe.net.strides) == len(recipe.net.kernels) == len(recipe.net.widths) == levels
    total = [math.prod(column) for column in zip(*recipe.net.strides, strict=True)]
    assert all(length % factor == 0 for length, factor in zip(recipe.patches.size, total, strict=True))


def test_a_default_recipe_is_no_plan() -> None:
    assert make_plan(fingerprint((64, 64)), classes(2))[0] != Recipe()


def test_large_cases_are_drawn_more_often_where_sizes_differ_much() -> None:
    alike, _ = make_plan(fingerprint((256, 256), min_size=(200, 256), max_size=(300, 256)), classes(2))
    mixed, reasons = make_plan(fingerprint((256, 256), min_size=(256, 256), max_size=(1024, 1024)), classes(2))
    assert (alike.patches.by_area, mixed.patches.by_area) == (0.0, 0.5)
    assert "large cases" in reasons["patches.by_area"]
