"""What of a recipe it takes to apply a net that need not be built; it is read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ushape.core.config import parse_config
from ushape.core.errors import ConfigError
from ushape.plan.data import DataConfig
from ushape.plan.toml import parse_toml
from ushape.predict.predictor import PredictConfig
from ushape.prep.pipeline import PrepConfig

if TYPE_CHECKING:
    from ushape.plan.recipe import Recipe


@dataclass(frozen=True)
class Usage:
    """How a net is applied.

    Attributes:
        recipe: all of the recipe, as plain values.
        ndim: of its windows.
        outputs: how many logits it gives.
    """

    recipe: Mapping[str, Any]
    data: DataConfig
    prep: PrepConfig
    predict: PredictConfig
    ndim: int
    outputs: int

    @property
    def is_padded(self) -> bool:
        """Whether windows keep their size."""
        return bool(self.recipe["net"]["block"]["padding"] != "valid")

    def whole_recipe(self) -> Recipe:
        """Return every choice of the training; this loads the rooms that train, and torch."""
        from ushape.plan.recipe import Recipe

        return parse_config(Recipe, self.recipe, "recipe")

    def mirror_axes(self) -> tuple[int, ...]:
        """Return the axes along which images may be mirrored for prediction: those that training flipped.

        Raises:
            ConfigError: training flipped none, so that the network tells left from right.
        """
        warp = self.recipe["augment"]["warp"]
        axes = range(self.ndim) if warp["flip_axes"] == "all" else sorted(set(warp["flip_axes"]))
        if not warp["flip"] or not axes:
            raise ConfigError(
                "predict.mirror: expected a model trained with flips, got one that tells the sides apart "
                "(augment.warp.flip); leave --mirror out"
            )
        return tuple(axes)


def make_usage(recipe: Mapping[str, Any], where: str) -> Usage:
    """Take what is needed from a complete recipe of plain values, as its file or its `model_dump` gives them.

    Raises:
        ConfigError: a part of it is missing, or holds a value that does not exist.
    """
    try:
        return Usage(
            recipe,
            data=parse_config(DataConfig, recipe["data"], f"{where}.data"),
            prep=parse_config(PrepConfig, recipe["prep"], f"{where}.prep"),
            predict=parse_config(PredictConfig, recipe["predict"], f"{where}.predict"),
            ndim=recipe["net"]["ndim"],
            outputs=recipe["net"]["classes"],
        )
    except KeyError as error:
        raise ConfigError(f"{where}: expected a complete recipe, found no {error}; export the model again") from error


def read_usage(text: str, where: str) -> Usage:
    """Read what is needed from the text of a complete recipe.

    Raises:
        ConfigError: it is no TOML, or as `make_usage`.
    """
    return make_usage(parse_toml(text, where), where)
