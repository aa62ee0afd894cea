"""What is looked at: a model, an image, what the one says of the other, and one voxel with the window around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from numpy import ndarray

from ushape.core.case import Case, Prediction
from ushape.core.errors import DataError
from ushape.core.labels import flatten
from ushape.explain.story import Place, choose_place, parse_place
from ushape.io.layouts import Pair, find_inputs, load_case
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe
from ushape.predict.postprocess import apply_rules
from ushape.predict.predictor import decide
from ushape.predict.torch_engine import TorchEngine
from ushape.predict.windows import predict_windows
from ushape.prep.pipeline import Pipeline, WayBack
from ushape.workflows.engine import window_margin
from ushape.workflows.stored import StoredModel


@dataclass(frozen=True, eq=False)
class Scene:
    """An image, prepared and predicted by the first network of a model.

    Attributes:
        members: networks in the model; `net` is the first.
        case: the image as it lies on disk, with its label if one is given.
        prepared: as the network sees it, with the label on that grid; `undo` is the way back.
        probabilities: (classes, *space) on the prepared grid; `prediction` is on the image's own.
        decided: the prediction on the prepared grid, as rules cleaned it: class indices or masks.
    """

    net: UNet
    members: int
    recipe: Recipe
    case: Case
    prepared: Case
    undo: WayBack
    probabilities: ndarray
    prediction: Prediction
    decided: ndarray

    def choose(self, at: str, class_index: int) -> Place:
        """Return the voxel asked for; without, the one deepest inside the class, or of any foreground for 0."""
        if at:
            return parse_place(at, self.case.space)
        return choose_place(class_mask(self.prediction.label, class_index))


def open_scene(model: StoredModel, image: Path, label: Path | None) -> Scene:
    """Read an image, prepare it and predict it in float32.

    Raises:
        DataError: there is not one image, it does not fit the model, or its mask does not fit it.
    """
    case = _load(model.recipe, image, label)
    net, config = model.nets[0], model.recipe.predict
    assert isinstance(net, UNet)  # noqa: S101 - model files hold nothing else
    pipeline = Pipeline(model.recipe.prep)
    prepared, undo = pipeline.forward(case)
    probabilities = predict_windows(prepared.image, make_reference(net, model.recipe), config.window)
    own = undo(probabilities)
    decided = apply_rules(decide(own, config.threshold), config.postprocess, case.geometry)
    prediction = Prediction(case.name, decided, case.geometry, own)
    cleaned = pipeline.forward(replace(case, label=decided))[0].label
    assert cleaned is not None  # noqa: S101 - a label that goes in comes out
    return Scene(net, len(model.nets), model.recipe, case, prepared, undo, probabilities, prediction, cleaned)


def class_mask(label: ndarray, class_index: int) -> ndarray:
    """Return where a class is, or for 0 where any foreground is, in class indices or in masks that may overlap."""
    if not class_index:
        return flatten(label) > 0
    return label[class_index - 1] if label.dtype == bool else label == class_index


def make_reference(net: UNet, recipe: Recipe) -> TorchEngine:
    """Wrap a network in float32 on the CPU."""
    return TorchEngine(net, recipe.data.labels.count, margin=window_margin(recipe))


def _load(recipe: Recipe, image: Path, label: Path | None) -> Case:
    found = find_inputs(image, channels=recipe.data.channels)
    if len(found) != 1:
        raise DataError(f"{image}: expected one image to explain, got {len(found)}; name one of them")
    pair: Pair = replace(found[0], mask=label, class_masks=())
    case = load_case(pair, recipe.data.labels, channels=recipe.data.channels, axes=recipe.data.axes)
    if len(case.space) != recipe.net.ndim:
        raise DataError(
            f"{image}: expected an image of {recipe.net.ndim} axes, as the model was trained on, got "
            f"{len(case.space)}; choose another image"
        )
    return case
