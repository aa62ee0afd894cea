"""Laws of the plan: whatever the data set, the recipe fits it, is buildable and says why."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.core.labels import Labels
from ushape.nets.unet import UNet
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.recipe import read_recipe, to_toml
from ushape.plan.rules import choose_levels, choose_patch_size, make_plan


def fingerprint(size: tuple[int, ...], cases: int, channels: int, classes: int) -> Fingerprint:
    return Fingerprint(
        cases=cases,
        channels=channels,
        dtype="uint8",
        min_size=tuple(max(length // 2, 1) for length in size),
        median_size=size,
        max_size=tuple(2 * length for length in size),
        spacing=(1.0,) * len(size),
        unit="px",
        value_range=(0.0, 255.0),
        class_shares=(1 / classes,) * classes,
    )


SIZES = st.integers(1, 3000)
CASES, CHANNELS, CLASSES = st.integers(1, 5000), st.integers(1, 6), st.integers(2, 8)


@given(st.tuples(SIZES, SIZES), CASES, CHANNELS, CLASSES)
@settings(max_examples=40)
def test_any_data_set_gets_a_complete_recipe_that_reads_back(
    size: tuple[int, int], cases: int, channels: int, classes: int
) -> None:
    labels = Labels(names=tuple(f"c{i}" for i in range(classes)), values=tuple(range(classes)))
    recipe, reasons = make_plan(fingerprint(size, cases, channels, classes), labels)
    assert recipe.data.labels == labels
    assert (recipe.net.in_channels, recipe.net.classes) == (channels, classes)
    assert recipe.patches.batch >= 2
    assert read_recipe(to_toml(recipe, reasons), "recipe") == recipe
    assert all(reasons.values())


@given(st.tuples(SIZES, SIZES))
def test_every_level_divides_the_patch_and_keeps_voxels(size: tuple[int, int]) -> None:
    patch = choose_patch_size(fingerprint(size, 10, 1, 2)).value
    levels = choose_levels(patch).value
    assert levels >= 2
    assert all(length % 2 ** (levels - 1) == 0 for length in patch)
    assert min(patch) >> (levels - 1) >= 4


@given(st.tuples(SIZES, SIZES))
def test_a_patch_is_not_much_larger_than_the_median_image(size: tuple[int, int]) -> None:
    patch = choose_patch_size(fingerprint(size, 10, 1, 2)).value
    assert all(length < full + 16 for length, full in zip(patch, size, strict=True))


def test_the_planned_net_can_be_built() -> None:
    recipe, _ = make_plan(fingerprint((256, 256), 30, 1, 2), Labels())
    assert sum(weight.numel() for weight in UNet(recipe.net).parameters()) > 100_000


def test_a_step_is_about_as_dear_for_small_images_as_for_large_ones() -> None:
    costs = []
    for size in ((64, 64), (256, 256), (2000, 2000)):
        patches = make_plan(fingerprint(size, 500, 1, 2), Labels())[0].patches
        costs.append(patches.batch * math.prod(patches.size))
    assert max(costs) <= 4 * min(costs)
