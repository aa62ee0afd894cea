"""A torch network as an engine: probabilities out of logits, in any precision, without side effects."""

import numpy as np
import pytest
import torch
from torch import nn

from ushape.predict import torch_engine
from ushape.predict.engines import Engine
from ushape.predict.torch_engine import TorchEngine, default_precision


def test_a_torch_engine_is_an_engine() -> None:
    assert isinstance(TorchEngine(nn.Conv2d(1, 2, 1), 2), Engine)


def test_one_output_channel_is_the_probability_of_the_foreground() -> None:
    net = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(net.weight)
    logits = np.array([[[[0.0, 2.0]]]], dtype=np.float32)
    probabilities = TorchEngine(net, 2)(logits)
    np.testing.assert_allclose(probabilities[0, 1, 0], [0.5, 1 / (1 + np.exp(-2))], atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_probabilities_are_float32_and_sum_to_one_in_any_precision(precision: str) -> None:
    engine = TorchEngine(nn.Conv2d(1, 4, 3, padding=1), 4, precision=precision)  # type: ignore[arg-type]
    probabilities = engine(np.random.default_rng(0).normal(size=(2, 1, 9, 9)).astype(np.float32))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_norms_and_dropout_are_at_rest() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 1)).train()
    engine = TorchEngine(net, 2)
    before = net[1].running_mean.clone()
    batch = np.random.default_rng(0).normal(size=(2, 1, 9, 9)).astype(np.float32)
    np.testing.assert_array_equal(engine(batch), engine(batch))
    assert torch.equal(net[1].running_mean, before)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_cpu_sees_windows_with_their_channels_innermost(channels: int) -> None:
    strides: list[tuple[int, ...]] = []
    net = torch.nn.Conv2d(channels, 2, 1)
    net.register_forward_hook(lambda _, __, output: strides.append(output.stride()))
    TorchEngine(net, 2)(np.zeros((1, channels, 4, 5), dtype=np.float32))
    assert strides == [(40, 1, 10, 2)]


def test_windows_that_are_views_turned_around_are_taken() -> None:
    engine = TorchEngine(nn.Conv2d(1, 2, 1), 2)
    batch = np.random.default_rng(0).normal(size=(1, 1, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(engine(batch[..., ::-1]), engine(batch)[..., ::-1], atol=1e-6)


def test_a_cpu_with_bf16_instructions_predicts_in_bf16_and_others_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for features, expected in [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({}, "float32")]:
        monkeypatch.setattr(torch_engine, "_cpu_features", lambda features=features: features)
        assert default_precision("cpu") == expected


def test_apple_gpus_predict_in_float32() -> None:
    assert default_precision("mps") == "float32"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "float32")])
def test_a_cuda_gpu_predicts_in_bf16_if_its_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    assert default_precision("cuda") == expected
