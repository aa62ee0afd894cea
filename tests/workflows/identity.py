"""A model that says what is in the image: bright is foreground. What comes back must lie where it came from."""

import numpy as np

from ushape.core.labels import Labels
from ushape.losses.compose import LossConfig
from ushape.losses.terms import CrossEntropyConfig
from ushape.nets.config import UNetConfig
from ushape.patches.sampler import PatchConfig
from ushape.plan.data import DataConfig
from ushape.plan.recipe import Recipe
from ushape.plan.usage import make_usage
from ushape.predict.predictor import PredictConfig
from ushape.predict.windows import WindowConfig
from ushape.prep.pipeline import PrepConfig
from ushape.workflows.model import Model
from ushape.workflows.runtime import Running


class Bright:
    """An engine whose class is how many of the two thresholds a voxel exceeds."""

    classes = 3
    margin: tuple[int, ...] = ()
    window: tuple[int, ...] = ()

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        steps = windows[:, :1] > np.array([50, 80]).reshape(1, 2, *[1] * (windows.ndim - 2))
        index = steps.sum(axis=1)
        return np.stack([index == number for number in range(3)], axis=1).astype(np.float32)


def identity_model(ndim: int, labels: Labels | None = None, **prep: object) -> Model:
    size = (5,) * ndim
    chosen = labels or Labels(names=("background", "gray", "white"), values=(0, 7, 255))
    may_overlap = chosen.overlap != "none"
    recipe = Recipe(
        head="sigmoid" if may_overlap else "softmax",
        data=DataConfig(labels=chosen),
        prep=PrepConfig(**{"intensity": (), **prep}),  # type: ignore[arg-type]
        net=UNetConfig(ndim=ndim, in_channels=1, classes=2 if may_overlap else 3, widths=(4, 8)),
        loss=LossConfig(bce=CrossEntropyConfig()) if may_overlap else LossConfig(),
        patches=PatchConfig(size=size),
        predict=PredictConfig(window=WindowConfig(size=size), threshold=(0.5, 0.5) if may_overlap else "argmax"),
    )
    return Model(Running(make_usage(recipe.model_dump(mode="json"), "recipe"), Bright()), recipe.predict)


def expected(values: np.ndarray) -> np.ndarray:
    return np.array([0, 7, 255], dtype=np.uint8)[(values > 50).astype(int) + (values > 80)]
