"""A network whose weights are set by hand: bright is foreground, and its gate does what it is told."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ushape.core.model_file import ModelHeader, write_model
from ushape.nets.config import UNetConfig
from ushape.nets.unet import UNet
from ushape.patches.sampler import PatchConfig
from ushape.plan.recipe import Recipe, to_toml
from ushape.predict.postprocess import AnyRule
from ushape.predict.predictor import PredictConfig
from ushape.predict.windows import WindowConfig
from ushape.prep.intensity import MinMax
from ushape.prep.orient import Orientation
from ushape.prep.pipeline import PrepConfig

SIZE = 24


def bright_net(ndim: int = 2, *, gate: float = 8.0, skip: str = "gate") -> UNet:
    """Let the logits and, scaled by `gate`, those of the gate rise with the image, which lies in [0, 1]."""
    block = {"convs": 1, "norm": "none"}
    config = UNetConfig(ndim=ndim, widths=(4, 8), skip=skip, up="transpose", block=block)  # type: ignore[arg-type]
    net = UNet(config).eval()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    centre = (1,) * ndim
    with torch.no_grad():
        for level in ("encoder.levels.0.0.0", "encoder.levels.1.0.0"):
            net.get_submodule(level).conv.weight[(0, 0, *centre)] = 1
        net.decoder[0].up[0].weight[0, 0] = 1
        weight = net.decoder[0].block[0][0].conv.weight
        weight[(0, 4, *centre)] = weight[(1, 0, *centre)] = 1
        net.heads[0].weight[1, 0], net.heads[0].bias[1] = 20, -10
        if skip == "gate":
            chosen = net.decoder[0].join.gate
            chosen.from_skip[0].weight[0, 0] = 1 / 2**ndim
            chosen.score[0].weight[0, 0], chosen.score[0].bias[0] = gate, -gate / 2
    return net


def bright_recipe(net: UNet, orientation: Orientation = "none", rules: tuple[AnyRule, ...] = ()) -> Recipe:
    size = (SIZE,) * net.config.ndim
    return Recipe(
        net=net.config,
        prep=PrepConfig(orientation=orientation, intensity=(MinMax(),)),
        patches=PatchConfig(size=size),
        predict=PredictConfig(window=WindowConfig(size=size), postprocess=rules),
    )


def save(net: UNet, path: Path, orientation: Orientation = "none", rules: tuple[AnyRule, ...] = ()) -> Path:
    write_model(path, net.state_dict(), ModelHeader(to_toml(bright_recipe(net, orientation, rules), {})))
    return path


def cube(ndim: int, size: int = 40, *, low: int = 12, high: int = 26) -> np.ndarray:
    """A bright cube on black, in [0, 1]."""
    image = np.zeros((size,) * ndim, dtype=np.float32)
    image[(slice(low, high),) * ndim] = 1
    return image
