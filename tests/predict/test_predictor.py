"""From a case to its prediction: on its own grid, decided by argmax or a threshold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ushape.core.case import Case, Geometry
from ushape.core.config import parse_config
from ushape.core.errors import ConfigError, DataError
from ushape.predict.predictor import PredictConfig, decide, predict_case
from ushape.predict.torch_engine import TorchEngine
from ushape.predict.windows import WindowConfig
from ushape.prep.pipeline import Pipeline, PrepConfig


class Brighter(nn.Module):
    """Foreground is what is brighter than the image's mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x], dim=1)


def predict(image: np.ndarray, **changes: object) -> np.ndarray:
    case = Case("scan", image, Geometry.pixels(image.ndim - 1))
    config = PredictConfig(window=WindowConfig(size=(16,) * (image.ndim - 1))).model_copy(update=changes)
    prediction = predict_case(case, Pipeline(PrepConfig()), TorchEngine(Brighter(), 2), config)
    assert prediction.probabilities is not None
    assert prediction.probabilities.shape == (2, *case.space)
    assert (prediction.name, prediction.geometry) == ("scan", case.geometry)
    return prediction.label


@pytest.mark.parametrize("space", [(1, 1), (1, 40), (37, 19), (3, 20, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_label_lies_on_the_grid_of_its_image_whatever_size_and_type(space: tuple[int, ...], dtype: type) -> None:
    image = (np.random.default_rng(0).random((1, *space)) * 200).astype(dtype)
    label = predict(image)
    assert label.shape == space
    if np.prod(space) > 1:
        np.testing.assert_array_equal(label, image[0] > image.astype(np.float64).mean())


def test_a_constant_image_is_predicted_without_nan() -> None:
    assert (predict(np.full((1, 20, 20), 7, dtype=np.uint8)) == 0).all()


def test_nan_pixels_are_refused_with_the_name_of_the_image() -> None:
    image = np.zeros((1, 8, 8), dtype=np.float32)
    image[0, 3, 3] = np.nan
    with pytest.raises(DataError, match=r"scan: expected finite pixels, got NaN or inf; repair"):
        predict(image)


@given(st.integers(2, 5), st.integers(0, 1000))
def test_argmax_takes_the_likeliest_class(classes: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes), size=6).T.astype(np.float32)
    label = decide(probabilities, "argmax")
    np.testing.assert_array_equal(
        np.take_along_axis(probabilities, label[None].astype(int), 0)[0], probabilities.max(0)
    )


def test_a_lower_threshold_never_takes_foreground_away() -> None:
    foreground = np.linspace(0, 1, 21, dtype=np.float32)
    probabilities = np.stack([1 - foreground, foreground])
    low, high = decide(probabilities, 0.25), decide(probabilities, 0.75)
    assert (low >= high).all()
    assert (low.sum(), high.sum()) == ((foreground >= 0.25).sum(), (foreground >= 0.75).sum())


def test_a_threshold_for_three_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold: expected two classes, got 3; use argmax"):
        decide(np.full((3, 4), 1 / 3, dtype=np.float32), 0.5)


def test_a_threshold_that_cannot_be_is_refused_before_there_is_an_image() -> None:
    assert PredictConfig().spread_threshold(0.7, 2) == 0.7
    assert PredictConfig(threshold=(0.5, 0.5)).spread_threshold(0.7, 3) == (0.7, 0.7)
    with pytest.raises(ConfigError, match=r"predict\.threshold: expected two classes, got 3; leave --threshold out"):
        PredictConfig().spread_threshold(0.7, 3)
    with pytest.raises(ConfigError, match=r"predict\.threshold: expected a number between 0 and 1, got 1\.5"):
        PredictConfig().spread_threshold(1.5, 2)


@pytest.mark.parametrize("threshold", [0, 1, -0.2, "most"])
def test_a_threshold_outside_of_0_to_1_is_refused(threshold: object) -> None:
    with pytest.raises(ConfigError, match=r"predict\.threshold"):
        parse_config(PredictConfig, {"threshold": threshold}, "predict")
