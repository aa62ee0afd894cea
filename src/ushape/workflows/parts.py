"""What a training is made of: net, loss, cases and validator, and who writes the model file."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from pathlib import Path

import tomlkit
import torch
from torch import Tensor

from ushape.core.errors import ConfigError
from ushape.core.model_file import ModelHeader, write_model
from ushape.deploy.distil import DistillationLoss, Lesson
from ushape.losses.compose import Loss
from ushape.nets.presets import build
from ushape.nets.unet import UNet
from ushape.patches.store import Store
from ushape.plan.recipe import Recipe
from ushape.train.parts import Parts
from ushape.train.run_folder import RunFolder, versions
from ushape.train.validation import ValidationScores, WriteModel
from ushape.workflows.looking import watch_gradients
from ushape.workflows.scoring import make_validator
from ushape.workflows.source import model_path
from ushape.workflows.stored import read_model


def make_parts(recipe: Recipe, cases: Store, held_out: Store, *, pretrained: bool = True) -> Parts:
    """Build everything that one training needs; weights are drawn from the recipe's seed.

    Args:
        pretrained: also load the encoder's weights that the recipe names; a checkpoint has them already.
    """
    torch.manual_seed(recipe.train.seed)
    loss = Loss(recipe.loss, recipe.head)
    lesson = make_lesson(recipe)
    return Parts(
        net=build(recipe.net, pretrained=pretrained),
        loss=DistillationLoss(loss, lesson) if lesson else loss,
        cases=cases,
        validator=make_validator(recipe, held_out),
        patches=recipe.patches,
        augment=recipe.augment,
        config=recipe.train,
        watch_gates=lesson.watch if lesson else UNet.watch_gates,
        watch_flow=watch_gradients(recipe.train),
    )


def make_lesson(recipe: Recipe) -> Lesson | None:
    """Load the teachers that a recipe names; None if it names none.

    Raises:
        ConfigError: the teacher sees other channels or axes, or knows other classes.
    """
    if recipe.train.teacher == "none":
        return None
    stored = read_model(model_path(recipe.train.teacher))
    for name in ("ndim", "in_channels", "classes"):
        mine, theirs = getattr(recipe.net, name), getattr(stored.recipe.net, name)
        if mine != theirs:
            raise ConfigError(f"train.teacher: expected a model with net.{name} {mine}, got {theirs}; take another")
    return Lesson(stored.nets)


def model_writer(run: RunFolder, recipe: Recipe, parts: Parts) -> WriteModel:
    """Return a function that writes the run's model file; no case and no place is named in it."""
    text = portable_recipe(run, recipe)
    date = dt.datetime.now(dt.UTC).date().isoformat()
    origin = {"training_cases": len(parts.cases), "seed": parts.config.seed, "versions": versions()}
    parameters = sum(weight.numel() for weight in parts.net.parameters())

    def write(weights: Mapping[str, Tensor], scores: ValidationScores | None) -> None:
        header = ModelHeader(text, 1, {"date": date, **origin}, _plain(scores) if scores else {}, parameters)
        write_model(run.model, weights, header)

    return write


def portable_recipe(run: RunFolder, recipe: Recipe) -> str:
    """Return a run's recipe as text, in which files of weights have no folders."""
    text = run.recipe.read_text(encoding="utf-8")
    sources = {
        "encoder_weights": recipe.net.encoder_weights,
        "start": recipe.train.start,
        "teacher": recipe.train.teacher,
    }
    for field, source in sources.items():
        long, short = (f"{field} = {tomlkit.item(name).as_string()}" for name in (source, Path(source).name))
        text = text.replace(long, short)
    return text


def _plain(scores: ValidationScores) -> dict[str, object]:
    """Return scores as JSON knows them; null is what no case has."""
    dice = {name: value if math.isfinite(value) else None for name, value in scores.dice.items()}
    return {"dice": dice, "mean": scores.mean if math.isfinite(scores.mean) else None}
