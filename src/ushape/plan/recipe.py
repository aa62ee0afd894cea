"""The recipe: every choice of a training in one file that a person can read and edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from pydantic import model_validator
from tomlkit.container import Container
from tomlkit.items import Item, Table

from ushape.core.config import Config, parse_config
from ushape.core.errors import ConfigError
from ushape.core.events import count
from ushape.losses.compose import LossConfig
from ushape.nets.config import UNetConfig
from ushape.patches.augment import AugmentConfig
from ushape.patches.sampler import PatchConfig
from ushape.plan.data import DataConfig
from ushape.plan.toml import parse_toml
from ushape.predict.predictor import PredictConfig
from ushape.prep.pipeline import PrepConfig
from ushape.train.config import TrainConfig

Head = Literal["softmax", "sigmoid"]
REPLACED_WHOLE = ("loss", "schedule")
"""Tables of which a recipe file replaces all that the plan chose: naming one loss means not the others."""


class Recipe(Config):
    """All choices of one training. Each table belongs to the class that acts on it.

    Attributes:
        head: "softmax" over all classes; "sigmoid" for one foreground channel, or one for each class that may overlap.
    """

    version: Literal[1] = 1
    head: Head = "softmax"
    data: DataConfig = DataConfig()
    prep: PrepConfig = PrepConfig()
    net: UNetConfig = UNetConfig()
    loss: LossConfig = LossConfig()
    patches: PatchConfig = PatchConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        labels = self.data.labels
        outputs = labels.count - (self.head == "sigmoid")
        if self.net.classes != outputs:
            raise ValueError(f"net.classes must be {outputs} for these labels under head {self.head!r}")
        if self.head == "sigmoid" and labels.count != 2 and labels.overlap == "none":
            raise ValueError("head 'sigmoid' needs exactly one foreground class, or classes that may overlap")
        if self.net.in_channels != self.data.channels:
            has = count(self.data.channels, "channel")
            raise ValueError(f"leave net.in_channels out, got {self.net.in_channels}; the data has {has}")
        if self.data.fold == "all" and self.train.ranks > 1:
            raise ValueError("data.fold 'all' trains on one device; with several, give each fold a command of its own")
        self._check_overlap()
        self.augment.check(self.data.channels, self.net.ndim)
        for name, size in (("patches.size", self.patches.size), ("predict.window.size", self.predict.window.size)):
            if len(size) != self.net.ndim:
                raise ValueError(f"{name} needs {self.net.ndim} numbers, one per axis")
        weights = self.loss.class_weights
        if not isinstance(weights, str) and len(weights) not in (0, self.data.labels.count):
            raise ValueError(f"loss.class_weights needs {self.data.labels.count} numbers, one per class, or none")
        return self

    def _check_overlap(self) -> None:
        """Hold head, thresholds and rules against what the labels are."""
        threshold, foreground = self.predict.threshold, self.data.labels.count - 1
        if self.data.labels.overlap == "none":
            if isinstance(threshold, tuple):
                raise ValueError("predict.threshold takes one number, or 'argmax', unless classes may overlap")
            return
        if self.head != "sigmoid":
            raise ValueError("classes that may overlap need head 'sigmoid'")
        if not isinstance(threshold, tuple) or len(threshold) != foreground:
            raise ValueError(f"predict.threshold needs {foreground} numbers, one for each class that may overlap")
        if self.predict.postprocess:
            raise ValueError("predict.postprocess needs classes that exclude each other")


Reasons = Mapping[str, str]
"""Dotted field name to why it has its value."""


def to_toml(recipe: Recipe, reasons: Reasons) -> str:
    """Write a recipe as TOML, each reason as a comment above or behind its value."""
    document = tomlkit.document()
    document.add(
        tomlkit.comment("A recipe of ushape. Every choice is written out; edit, then: ushape train DATA --recipe FILE")
    )
    _fill(document, recipe.model_dump(mode="json"), "", reasons)
    return tomlkit.dumps(document)


def list_settings(text: str) -> list[tuple[str, str, str]]:
    r"""Return every choice of a recipe file as (dotted name, value, reason).

    >>> list_settings("[net]\nup = 'linear' # smooth")
    [('net.up', 'linear', 'smooth')]
    """
    return list(_walk(tomlkit.parse(text), ""))


def read_recipe(text: str, where: str) -> Recipe:
    """Read a complete recipe.

    Raises:
        ConfigError: it is no TOML, or holds a name or value that does not exist.
    """
    return parse_config(Recipe, parse_toml(text, where), where)


def read_file(path: Path) -> str:
    """Read a recipe file's text.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a recipe ({error}); expected a TOML file") from error


def overlay_recipe(planned: Recipe, table: Mapping[str, Any], where: str) -> Recipe:
    """Lay a recipe that may name only some choices over a planned one.

    Raises:
        ConfigError: it holds a name or value that does not exist.
    """
    return parse_config(Recipe, _merge(planned.model_dump(), table), where)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both_tables and key not in REPLACED_WHOLE else value
    return merged


def _fill(table: Any, values: Mapping[str, Any], prefix: str, reasons: Reasons) -> None:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    for key, value in plain.items():
        item = tomlkit.item(value)
        if prefix + key in reasons:
            item.comment(reasons[prefix + key])
        table.add(key, item)
    for key, value in values.items():
        if isinstance(value, dict):
            inner = tomlkit.table()
            if prefix + key in reasons:
                inner.comment(reasons[prefix + key])
            _fill(inner, value, f"{prefix}{key}.", reasons)
            table.add(key, inner)


def _walk(table: Container, prefix: str) -> Iterator[tuple[str, str, str]]:
    for key in table:
        item = table.item(key)
        if isinstance(item, Table):
            yield from _walk(item.value, f"{prefix}{key}.")
        elif isinstance(item, Item):  # not a table in pieces, which `to_toml` never writes
            yield prefix + key, str(item.unwrap()), item.trivia.comment.lstrip("# ")
