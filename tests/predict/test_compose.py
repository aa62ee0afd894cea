"""Engines made of engines: flips and ensembles are plain means."""

import numpy as np
import pytest
import torch
from torch import nn

from ushape.predict.compose import Ensemble, Mirrored
from ushape.predict.torch_engine import TorchEngine


class Pointwise(nn.Module):
    """A net that looks at one voxel at a time: flips make no difference to it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x], dim=1)


class Slanted(nn.Module):
    """A net that adds its column: flips make a difference."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(x.shape[-1], dtype=x.dtype).expand(x.shape)
        return torch.cat([columns, -columns], dim=1)


def windows(*space: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, 1, *space)).astype(np.float32)


@pytest.mark.parametrize("space", [(6, 7), (4, 5, 6)])
def test_mirroring_changes_nothing_for_a_net_that_commutes_with_flips(space: tuple[int, ...]) -> None:
    engine = TorchEngine(Pointwise(), 2)
    mirrored = Mirrored(engine, range(len(space)))
    np.testing.assert_allclose(mirrored(windows(*space)), engine(windows(*space)), atol=1e-6)


def test_mirroring_evens_out_what_depends_on_the_side() -> None:
    engine = TorchEngine(Slanted(), 2)
    probabilities = Mirrored(engine, [1])(windows(3, 5))
    np.testing.assert_allclose(probabilities, probabilities[..., ::-1], atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_mirroring_needs_two_passes_per_axis() -> None:
    calls = []

    class Counts(Pointwise):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(x)
            return super().forward(x)

    Mirrored(TorchEngine(Counts(), 2), [0, 1])(windows(4, 4))
    assert len(calls) == 4


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    members = [TorchEngine(Pointwise(), 2), TorchEngine(Slanted(), 2), TorchEngine(Slanted(), 2)]
    batch = windows(5, 6)
    expected = np.mean([member(batch) for member in members], axis=0)
    np.testing.assert_allclose(Ensemble(members)(batch), expected, atol=1e-6)


def test_composed_engines_keep_margin_and_classes() -> None:
    engine = TorchEngine(nn.Conv2d(1, 3, 5), 3, margin=(2, 2))
    for composed in (Mirrored(engine, [0, 1]), Ensemble([engine, engine])):
        assert (composed.margin, composed.classes) == ((2, 2), 3)
        assert composed(windows(8, 9)).shape == (2, 3, 4, 5)
