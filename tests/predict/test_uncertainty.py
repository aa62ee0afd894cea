"""Uncertainty: entropy of the mean, and what the passes disagree about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.predict.test_slabs import GEOMETRY, Position, noise

from ushape.core.case import Case, Geometry
from ushape.predict.compose import Ensemble, Mirrored, is_averaged, normal_entropy
from ushape.predict.engines import Engine
from ushape.predict.predictor import PredictConfig, predict_case, predict_uncertainty
from ushape.predict.windows import WindowConfig
from ushape.prep.pipeline import Pipeline, PrepConfig


class Sure:
    """An engine that is certain of one class everywhere."""

    def __init__(self, says: int, classes: int = 3) -> None:
        self.says, self.classes = says, classes
        self.margin: tuple[int, ...] = ()
        self.window: tuple[int, ...] = ()

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        out = np.zeros((len(windows), self.classes, *windows.shape[2:]), dtype=np.float32)
        out[:, self.says] = 1
        return out


def predict(engine: Engine, window: int = 64, space: tuple[int, int] = (20, 30)) -> np.ndarray:
    case = Case("a", noise(*space), Geometry.pixels(2))
    config = PredictConfig(window=WindowConfig(size=(window, window)))
    prediction = predict_uncertainty(case, Pipeline(PrepConfig()), engine, config)
    assert prediction.uncertainty is not None
    return prediction.uncertainty


def test_one_certain_network_is_not_unsure_and_has_nothing_to_disagree_with() -> None:
    np.testing.assert_allclose(predict(Sure(1)), np.zeros((1, 20, 30)), atol=1e-6)


def test_two_certain_networks_that_contradict_each_other_disagree_wholly() -> None:
    entropy, disagreement = predict(Ensemble([Sure(0), Sure(2)]))
    np.testing.assert_allclose(entropy, np.log(2) / np.log(3), atol=1e-6)
    np.testing.assert_allclose(disagreement, entropy, atol=1e-6)


def test_networks_that_are_unsure_alike_do_not_disagree() -> None:
    entropy, disagreement = predict(Ensemble([Position(3), Position(3)]))
    assert entropy.mean() > 0.5
    np.testing.assert_allclose(disagreement, 0, atol=1e-5)


@pytest.mark.parametrize("engine", [Position(4), Ensemble([Position(4), Sure(1, 4)]), Mirrored(Position(4), [0, 1])])
def test_probabilities_and_label_are_those_without_uncertainty(engine: Engine) -> None:
    case = Case("scan", noise(14, 18, 16), GEOMETRY)
    pipeline = Pipeline(
        PrepConfig.model_validate({"resample": {"spacing": (1.5, 1.5, 1.5)}, "orientation": "canonical"})
    )
    config = PredictConfig(window=WindowConfig(size=(8, 8, 8)))
    plain, unsure = (run(case, pipeline, engine, config) for run in (predict_case, predict_uncertainty))
    np.testing.assert_allclose(unsure.probabilities, plain.probabilities, atol=1e-6)
    np.testing.assert_array_equal(unsure.label, plain.label)
    assert unsure.uncertainty is not None
    assert unsure.uncertainty.shape == (1 + is_averaged(engine), *case.space)
    assert (unsure.uncertainty >= 0).all()
    assert (unsure.uncertainty[-1] <= unsure.uncertainty[0] + 1e-6).all()


@given(st.integers(2, 6), st.integers(0, 1000))
def test_entropy_lies_between_none_and_all(classes: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes), size=5).T
    entropy = normal_entropy(probabilities, axis=0)
    assert ((entropy >= 0) & (entropy <= 1)).all()
    np.testing.assert_allclose(normal_entropy(np.full((classes, 2), 1 / classes), axis=0), 1)
    assert (normal_entropy(np.eye(classes), axis=0) < 1e-6).all()
