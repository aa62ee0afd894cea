"""A trained model as an object: made from its file, applied to images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray
from torch import Tensor, nn

from ushape.core.case import Case, Geometry, Prediction
from ushape.core.config import with_fields
from ushape.core.errors import ModelFileError
from ushape.core.model_file import read_header, read_weights, split_members
from ushape.io.images import split_name
from ushape.io.layouts import Pair, fit_channels, load_case
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe, read_recipe
from ushape.predict.compose import Ensemble, Mirrored
from ushape.predict.engines import Engine
from ushape.predict.postprocess import parse_rules
from ushape.predict.predictor import PredictConfig, predict_case, predict_label, predict_uncertainty
from ushape.prep.pipeline import Pipeline
from ushape.train.probe import choose_device
from ushape.workflows.engine import make_engine, mirror_axes


class Model:
    """A trained model, ready to predict. Made by `load`.

    Attributes:
        mirrored: the axes along which predictions are averaged over mirror images.
    """

    def __init__(self, recipe: Recipe, engine: Engine, config: PredictConfig) -> None:
        self.recipe, self.config = recipe, config
        self.mirrored = mirror_axes(recipe) if config.mirror else ()
        self.engine = Mirrored(engine, self.mirrored) if config.mirror else engine
        self._pipeline = Pipeline(recipe.prep)

    def predict(
        self, image: str | Path | ndarray | Case, *, probabilities: bool = True, uncertainty: bool = False
    ) -> Prediction:
        """Predict one image on its own grid.

        Args:
            image: a file, a case, or an array of (channels, *space), or of (*space) for one channel.
            probabilities: whether to return them too; without, the memory that many classes need stays small.
            uncertainty: whether to return `Prediction.uncertainty` and probabilities.
        Returns:
            Class indices (see `recipe.data.labels` for their names and file values), and probabilities if wanted.
        Raises:
            DataError: the image cannot be read, or does not fit the model.
        """
        case = self._as_case(image)
        fitted = fit_channels(np.asarray(case.image[...]), self.recipe.data.channels, case.source or case.name)
        run = predict_uncertainty if uncertainty else predict_case if probabilities else predict_label
        return run(case.with_image(fitted), self._pipeline, self.engine, self.config)

    def _as_case(self, image: str | Path | ndarray | Case) -> Case:
        if isinstance(image, Case):
            return image
        if isinstance(image, ndarray):
            pixels = image[None] if image.ndim == self.recipe.net.ndim else image
            return Case("image", pixels, Geometry.pixels(pixels.ndim - 1))
        path = Path(image)
        return load_case(Pair(split_name(path)[0], path))


def load(
    path: str | Path,
    *,
    device: str = "auto",
    mirror: bool = False,
    threshold: float | None = None,
    postprocess: str = "auto",
) -> Model:
    """Load a model file, or the model of a run folder.

    Args:
        mirror: average over flips of the axes that training flipped, see `mirror_axes`: 2**axes times slower.
        threshold: probability from which a voxel is foreground; None takes the likeliest class.
        postprocess: rules as `parse_rules` reads them, "none", or "auto" for those that training chose.
    Raises:
        ModelFileError: the file is no model, is damaged, or its weights do not fit its recipe.
        ConfigError: mirroring is asked for and training flipped nothing, or the threshold is impossible.
    """
    file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
    header = read_header(file)
    recipe = read_recipe(header.recipe, str(file))
    members = split_members(read_weights(file), header.members)
    where = choose_device(device)
    engines = [make_engine(net, recipe, where) for net in _build_members(recipe, members, file)]
    changes = {"mirror": mirror, "threshold": recipe.predict.threshold if threshold is None else threshold}
    config = with_fields(recipe.predict, changes, "predict")
    if postprocess != "auto":
        config = config.model_copy(update={"postprocess": parse_rules(postprocess)})
    return Model(recipe, Ensemble(engines) if len(engines) > 1 else engines[0], config)


def _build_members(recipe: Recipe, members: Sequence[Mapping[str, Tensor]], file: Path) -> Iterator[nn.Module]:
    for weights in members:
        net = UNet(recipe.net)
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelFileError(f"{file}: the weights do not fit the recipe ({error}); copy the file again") from error
        yield net
