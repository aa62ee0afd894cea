"""A network and its recipe as an engine."""

import numpy as np
import pytest
import torch

from ushape.core.layout import CHANNELS_LAST
from ushape.nets.ndim import LAYERS
from ushape.nets.presets import preset
from ushape.nets.unet import UNet
from ushape.predict.torch_engine import TorchEngine
from ushape.workflows.engine import settle


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ["attention-3d", "cbam", "transunet", "unet-bn"])
def test_settled_weights_give_the_same_probabilities(name: str, precision: str) -> None:
    torch.manual_seed(0)
    config = preset(name)
    config = config.model_copy(update={"widths": tuple(width // 8 for width in config.widths)})
    windows = np.random.default_rng(0).normal(size=(2, 1, *(32,) * config.ndim)).astype(np.float32)
    engine = TorchEngine(UNet(config), config.classes, precision=precision)  # type: ignore[arg-type]
    before = engine(windows)
    settle(engine.net, config.ndim, "cpu", engine.precision)
    after = engine(windows)
    np.testing.assert_allclose(after, before, atol=1e-5 if precision == "float32" else 2e-2)
    first = next(layer for layer in engine.net.modules() if isinstance(layer, LAYERS[config.ndim].conv))
    assert first.weight.dtype == (torch.float32 if precision == "float32" else torch.bfloat16)
    assert all(
        layer.weight.is_contiguous(memory_format=CHANNELS_LAST[config.ndim + 2])
        for layer in engine.net.modules()
        if isinstance(layer, LAYERS[config.ndim].conv)
    )
