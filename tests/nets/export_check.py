"""Export networks at one size and run the graphs at others; a script, since the shape-checking hook stops exports.

Prints one line of JSON per network: the largest difference from the network itself, relative to its largest logit, by
torch.export and by ONNX Runtime. Arguments: names of presets (made narrow), or numbers of covering rows (made shallow).
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import onnxruntime
import torch
from tests.nets.covering import CHOICES, Row, cover, make_config
from torch import Tensor

from ushape.nets.presets import preset
from ushape.nets.sizes import valid_sizes
from ushape.nets.unet import UNet, UNetConfig

SIZES = ((33, 41, 35), (47, 26, 21), (19, 53, 5))


def fitting(config: UNetConfig, size: tuple[int, ...]) -> tuple[int, ...]:
    size = size[: config.ndim]
    if config.block.padding == "same":
        return size
    return tuple(axis.input_for(max(wanted // 8, 2)) for axis, wanted in zip(valid_sizes(config), size, strict=True))


def difference(got: Tensor, want: Tensor) -> float:
    return float((got - want).abs().max() / want.abs().max()) if got.shape == want.shape else float("inf")


def check(config: UNetConfig, batches: tuple[int, ...]) -> dict[str, float]:
    torch.manual_seed(0)
    net = UNet(config).eval()
    images = [torch.randn(count, 1, *fitting(config, size)) for count, size in zip(batches, SIZES, strict=True)]
    axes = (*range(2, images[0].ndim), *([0] if len(set(batches)) > 1 else []))
    dynamic = (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)
    program = torch.export.export(net, (images[0],), dynamic_shapes=dynamic)
    onnx = torch.onnx.export(program, dynamo=True, opset_version=18, verbose=False)
    session = onnxruntime.InferenceSession(onnx.model_proto.SerializeToString(), one_thread())
    name, run = session.get_inputs()[0].name, program.module()
    errors = {"torch.export": 0.0, "onnx": 0.0}
    for image in images:
        want = net(image).detach()
        ran = torch.from_numpy(np.asarray(session.run(None, {name: image.numpy()})[0]))
        errors["torch.export"] = max(errors["torch.export"], difference(run(image).detach(), want))
        errors["onnx"] = max(errors["onnx"], difference(ran, want))
    return errors


def one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def narrow(config: UNetConfig) -> UNetConfig:
    return config.model_copy(update={"widths": thin(config.widths)})


def thin(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(width // 16, 2) for width in widths)


def shallow(row: Row) -> UNetConfig:
    config = make_config(row)
    return config.model_copy(update={"widths": config.widths[:2], "strides": config.strides[:2]})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = cover(CHOICES)
    for name in sys.argv[1:]:
        row = name.isdecimal()
        config = shallow(rows[int(name)]) if row else narrow(preset(name))
        print(json.dumps([name, check(config, batches=(2, 2, 2) if row else (2, 1, 3))]), flush=True)
