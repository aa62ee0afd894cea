"""Wrong names are refused where they enter, with the name that was meant."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from ushape.core.config import Config, parse_assignment, parse_config, with_fields
from ushape.core.errors import ConfigError


class Block(Config):
    norm: Literal["batch", "instance", "group", "none"] = "batch"
    convs: int = 2


class Net(Config):
    block: Block = Block()
    widths: tuple[int, ...] = Field((8, 16), min_length=2)


class Recipe(Config):
    net: Net = Net()


def test_a_wrong_value_is_refused_with_the_path_and_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(Recipe, {"net": {"block": {"norm": "bacth"}}}, "recipe")
    assert str(error.value) == (
        "recipe.net.block.norm: unknown value 'bacth'; did you mean 'batch'? "
        "choose one of: batch, instance, group, none"
    )


def test_an_unknown_field_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.net: unknown field 'width'; did you mean 'widths'\?"):
        parse_config(Recipe, {"net": {"width": [8]}}, "recipe")


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(Recipe, {"net": {"widths": "wide", "block": {"convs": "many"}}}, "recipe")
    assert {line.split(":")[0] for line in str(error.value).splitlines()} == {
        "recipe.net.widths",
        "recipe.net.block.convs",
    }


def test_lists_of_another_length_are_told_without_the_words_of_pydantic() -> None:
    with pytest.raises(ConfigError) as error:
        with_fields(Recipe(), {"net.widths": []}, "recipe")
    assert str(error.value) == "recipe.net.widths: expected at least 2 values, got []"


def test_dotted_changes_reach_nested_configs() -> None:
    changed = with_fields(Recipe(), {"net.block.norm": "none", "net.widths": [4, 8, 16]})
    assert changed == Recipe(net=Net(block=Block(norm="none"), widths=(4, 8, 16)))


def test_a_change_in_an_unknown_table_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--set nte\.widths: unknown table 'nte'; did you mean 'net'\?"):
        with_fields(Recipe(), {"nte.widths": [4]})


@pytest.mark.parametrize(
    ("text", "value"), [("a=1", 1), ("a=1e-3", 1e-3), ("a=[1, 2]", [1, 2]), ("a=true", True), ("a=linear", "linear")]
)
def test_the_value_of_an_assignment_is_toml_or_a_string(text: str, value: object) -> None:
    assert parse_assignment(text) == ("a", value)


@pytest.mark.parametrize("text", ["no-equals", "=1"])
def test_an_assignment_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="name=value"):
        parse_assignment(text)


def test_a_config_cannot_be_changed_after_construction() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Block().convs = 3  # type: ignore[misc]


def test_a_field_with_alternatives_is_told_in_one_line() -> None:
    class Budget(Config):
        minutes: Annotated[float, Field(gt=0)] | Literal["none"] = 5.0

    with pytest.raises(ConfigError) as error:
        parse_config(Budget, {"minutes": -1}, "recipe")
    assert str(error.value) == "recipe.minutes: input should be greater than 0 or 'none', got -1"


def test_a_fault_in_a_list_of_alternatives_names_the_fields_of_the_one_that_was_meant() -> None:
    class Clip(Config):
        name: Literal["clip"] = "clip"
        low: float = 0.0

    class Gamma(Config):
        name: Literal["gamma"] = "gamma"
        power: float = 1.0

    class Prep(Config):
        steps: tuple[Annotated[Clip | Gamma, Field(discriminator="name")], ...] = ()

    with pytest.raises(ConfigError, match=r"prep\.steps\.0\.clip: unknown field 'lo'; did you mean 'low'\?"):
        parse_config(Prep, {"steps": [{"name": "clip", "lo": 1}]}, "prep")


def test_case_does_not_hide_the_name_that_was_meant() -> None:
    with pytest.raises(ConfigError, match="did you mean 'instance'"):
        parse_config(Recipe, {"net": {"block": {"norm": "Instance"}}}, "recipe")
