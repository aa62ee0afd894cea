"""The recipe as a file: complete, commented, and read back as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.config import with_fields
from ushape.core.errors import ConfigError
from ushape.plan.recipe import Recipe, list_settings, overlay_recipe, read_file, read_recipe, to_toml
from ushape.plan.toml import parse_toml

CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "net.widths": st.lists(st.integers(1, 64), min_size=2, max_size=5),
        "train.minutes": st.one_of(st.just("none"), st.floats(0.1, 100)),
        "train.steps_per_epoch": st.one_of(st.just("auto"), st.integers(1, 100)),
        "train.optim.lr": st.floats(1e-6, 1),
        "predict.threshold": st.one_of(st.just("argmax"), st.floats(0.01, 0.99)),
        "data.groups": st.sampled_from(["", "^p[0-9]+", 'a "quoted" \\ name']),
        "prep.intensity": st.sampled_from(
            [[], [{"name": "zscore"}], [{"name": "clip_percentiles", "low": 1.0}, {"name": "minmax"}]]
        ),
        "augment.warp.flip": st.booleans(),
        "loss.class_weights": st.sampled_from([[], [1.0, 2.5]]),
    },
)


@given(CHANGES)
def test_a_recipe_written_and_read_is_the_same(changes: dict[str, Any]) -> None:
    recipe = with_fields(Recipe(), changes)
    assert read_recipe(to_toml(recipe, dict.fromkeys(changes, "because")), "recipe") == recipe


@given(CHANGES)
def test_every_choice_is_written_out_and_carries_its_reason(changes: dict[str, Any]) -> None:
    settings = {name: reason for name, _, reason in list_settings(to_toml(with_fields(Recipe(), changes), {}))}
    assert {"head", "net.widths", "train.optim.lr", "patches.size", "loss.dice.weight"} <= set(settings)
    reasons = {name: "because" for name in changes if name != "prep.intensity"}
    told = {name: reason for name, _, reason in list_settings(to_toml(with_fields(Recipe(), changes), reasons))}
    assert {name for name, reason in told.items() if reason == "because"} == set(reasons)


def test_naming_one_loss_means_not_the_others() -> None:
    planned = Recipe()
    assert set(planned.loss.terms) == {"ce", "dice"}
    assert overlay_recipe(planned, {"loss": {"focal": {}}}, "mine").loss.terms == {"focal": 1.0}


def test_a_table_that_names_one_choice_leaves_its_neighbours() -> None:
    planned = with_fields(Recipe(), {"train.optim.lr": 0.5, "train.epochs": 7})
    changed = overlay_recipe(planned, {"train": {"epochs": 3}}, "mine").train
    assert (changed.epochs, changed.optim.lr) == (3, 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net.classes": 3}, "net.classes must be 2"),
        ({"net.in_channels": 3}, "leave net.in_channels out, got 3; the data has 1 channel"),
        ({"patches.size": [64, 64, 64]}, "patches.size needs 2 numbers"),
        ({"predict.window.size": [64]}, "predict.window.size needs 2 numbers"),
        ({"head": "sigmoid"}, "net.classes must be 1"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_fields(Recipe(), changes)


def test_a_file_that_is_no_text_or_no_toml_is_refused(tmp_path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"recipe\.toml: cannot be read as a recipe"):
        read_file(path)
    with pytest.raises(ConfigError, match=r"recipe\.toml: not valid TOML .*; correct that line"):
        parse_toml("a = [", "recipe.toml")


def test_a_recipe_of_a_later_version_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.version: unknown value 2; choose one of: 1"):
        read_recipe("version = 2", "recipe")
