"""Weights from elsewhere: read a file, bring its keys to ours, load it whole or say which keys do not fit."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ushape.core.errors import ModelFileError, first_line

Weights = dict[str, Tensor]
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
HEADS = "heads."
"""What the keys of a net's last convolutions start with."""
_SHOWN = 5  # keys named in a message


def read_foreign(path: Path) -> Weights:
    """Read a safetensors or `.pth` file of tensors, the latter by torch's restricted loader.

    Wrappers around the state dict, prefixes left by parallel training or compiling, and what is no tensor are dropped.

    Raises:
        ModelFileError: the file is missing, damaged, or holds other objects than tensors.
    """
    try:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise ModelFileError(
            f"{path}: cannot be read as a file of weights ({first_line(error)}); give a state dict"
        ) from error
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):
            content = content[name]
    return {_strip(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _read_pickle(path: Path) -> Mapping[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise ValueError(f"a {type(content).__name__}, not a state dict")  # noqa: TRY004 - the file's fault, not a type's
    return content


def _strip(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load weights that fit a module exactly.

    Args:
        where: what the weights are called in messages: a file name.
    Raises:
        ModelFileError: keys are missing, left over, or of another shape; the message names some.
    """
    own = module.state_dict()
    faults = [
        ("missing", [key for key in own if key not in weights]),
        ("unknown", [key for key in weights if key not in own]),
        ("of another shape", list(_misfits(own, weights))),
    ]
    told = [f"{kind}: {_enumerate(keys)}" for kind, keys in faults if keys]
    if told:
        raise ModelFileError(f"{where}: the weights do not fit this network; {'; '.join(told)}")
    module.load_state_dict(dict(weights))


def load_all_but_heads(net: nn.Module, weights: Mapping[str, Tensor], where: str) -> list[str]:
    """Load the weights of a net that may have had other classes, or heads on other levels.

    Returns:
        The keys of the heads that did not fit and start anew.
    Raises:
        ModelFileError: as `load_weights`, for anything but the heads.
    """
    own = net.state_dict()
    fits = {key for key in own.keys() & weights.keys() if own[key].shape == weights[key].shape}
    body = {key: value for key, value in weights.items() if key in fits or not key.startswith(HEADS)}
    anew = {key: value for key, value in own.items() if key.startswith(HEADS) and key not in fits}
    load_weights(net, body | anew, where)
    return list(anew)


def _misfits(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Iterator[str]:
    for key in own.keys() & weights.keys():
        if own[key].shape != weights[key].shape:
            yield f"{key} {tuple(weights[key].shape)}, expected {tuple(own[key].shape)}"


def _enumerate(keys: list[str]) -> str:
    more = len(keys) - _SHOWN
    return ", ".join(sorted(keys)[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Change the input channels of a pretrained convolution so that the scale of its output is kept.

    One channel gets the sum of all; more get the old ones again and again, scaled down.

    >>> adapt_channels(torch.ones(8, 3, 3, 3), 4).sum(dim=1)[0, 0]
    tensor([3., 3., 3.])
    """
    old = weight.shape[1]
    if channels == old:
        return weight
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = torch.cat([weight] * math.ceil(channels / old), dim=1)[:, :channels]
    return repeated * (old / channels)


PORT_LAYERS = {"0": "0.conv", "1": "0.norm", "3": "1.conv", "4": "1.norm"}  # its ReLUs are 2 and 5
PORT_KEYS: tuple[tuple[str, str], ...] = (
    (r"inc\.double_conv\.(?P<layer>[0134])\.(?P<name>\w+)", "encoder.levels.0.0.{layer}.{name}"),
    (r"down(?P<level>\d)\.maxpool_conv\.1\.double_conv\.(?P<layer>[0134])\.(?P<name>\w+)",
     "encoder.levels.{level}.0.{layer}.{name}"),
    (r"up(?P<level>\d)\.conv\.double_conv\.(?P<layer>[0134])\.(?P<name>\w+)", "decoder.{up}.block.0.{layer}.{name}"),
    (r"up(?P<level>\d)\.up\.(?P<name>\w+)", "decoder.{up}.up.0.{name}"),
    (r"outc\.conv\.(?P<name>\w+)", "heads.0.{name}"),
)  # fmt: skip


def from_popular_port(weights: Mapping[str, Tensor]) -> Weights:
    """Give the weights of the popular PyTorch port our keys, for `unet-bn` and `unet-bn-bilinear`.

    Raises:
        ModelFileError: a key is not one of that network.
    Source: the state dicts that Pytorch-UNet (milesial) publishes for Carvana.

    >>> list(from_popular_port({"up1.conv.double_conv.3.weight": torch.zeros(1)}))
    ['decoder.3.block.0.1.conv.weight']
    """
    return {_port_key(key): value for key, value in weights.items()}


def is_popular_port(weights: Mapping[str, Tensor]) -> bool:
    """Tell whether weights are those of the popular PyTorch port."""
    return "inc.double_conv.0.weight" in weights and "outc.conv.weight" in weights


def load_foreign(module: nn.Module, path: Path) -> None:
    """Load a file of weights for a whole network, under our names or those of the popular PyTorch port.

    Raises:
        ModelFileError: the file cannot be read, or its weights do not fit.
    """
    weights = read_foreign(path)
    load_weights(module, from_popular_port(weights) if is_popular_port(weights) else weights, str(path))


def _port_key(key: str) -> str:
    for pattern, ours in PORT_KEYS:
        match = re.fullmatch(pattern, key)
        if match:
            parts = {"level": "0", "layer": "0", **match.groupdict()}
            return ours.format(**parts | {"layer": PORT_LAYERS[parts["layer"]]}, up=4 - int(parts["level"]))
    raise ModelFileError(f"{key}: not a key of the popular PyTorch U-Net; its own start with inc, down, up or outc")
