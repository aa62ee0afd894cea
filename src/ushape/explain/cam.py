"""Seg-Grad-CAM: where the features lie that speak for a class in a region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from ushape.core.errors import DataError
from ushape.explain.levels import is_centred, level_strides, spread
from ushape.nets.ndim import PerAxis
from ushape.nets.unet import UNet


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """What speaks for a class, on the image's own grid.

    Attributes:
        name: of the class; "" if no foreground was found, and then there are no maps.
        reason: why it is this class that is explained.
        region: where it is explained.
        seen: the window that was looked at.
        levels: for each level where it speaks for the class, in [0, 1]; 0 outside of the window.
    """

    name: str
    reason: str
    region: Bool[ndarray, "*space"]
    seen: Bool[ndarray, "*space"]
    levels: Mapping[str, Float[ndarray, "*space"]]


def explain_class(
    net: UNet, image: Float[ndarray, "channels *space"], output: int, region: Bool[ndarray, "*inner"]
) -> dict[str, Float[ndarray, "*space"]]:
    """Map where each level's features raise an output in a region of the logits' grid.

    With A_k the channels of a level and y the sum of the output's logits over the region, the map is
    `relu(sum_k mean(dy / dA_k) A_k)`, brought to the image's grid and divided by its largest value.

    Returns:
        "bottleneck", then each decoder level, coarsest first, in [0, 1]; all 0 where nothing speaks for the class.
    Raises:
        DataError: the region is empty.
    Source: Vinogradova et al. 2020, arXiv:2002.11434, eq. 1 and 2; Selvaraju et al. 2017, arXiv:1610.02391.
    """
    if not region.any():
        raise DataError(
            "region: expected voxels in which to explain the class, got none; choose another class or point"
        )
    features: dict[str, Tensor] = {}
    *strides, coarsest = level_strides(net)
    steps = {"bottleneck": coarsest} | {
        f"decoder.{number}": strides[number] for number in reversed(range(len(strides)))
    }
    hooks = [net.get_submodule(name).register_forward_hook(_keep(name, features)) for name in steps]
    try:
        with torch.enable_grad():
            logits = net(torch.from_numpy(np.ascontiguousarray(image))[None].requires_grad_())
            score = logits[0, output][torch.from_numpy(np.ascontiguousarray(region))].sum()
            gradients = torch.autograd.grad(score, list(features.values()))
    finally:
        for hook in hooks:
            hook.remove()
    maps = (weigh_channels(level, gradient) for level, gradient in zip(features.values(), gradients, strict=True))
    return {name: _bring(net, found, steps[name], image.shape[1:]) for name, found in zip(features, maps, strict=True)}


def _keep(name: str, kept: dict[str, Tensor]) -> Callable[[object, object, Tensor], None]:
    def hook(_: object, __: object, output: Tensor) -> None:
        kept[name] = output

    return hook


def weigh_channels(level: Float[Tensor, "b c *space"], gradient: Float[Tensor, "b c *space"]) -> Tensor:
    """Add up channels, each weighed by its mean gradient, and keep what is above 0.

    >>> import torch
    >>> weigh_channels(torch.tensor([[[[1.0, 2.0]], [[5.0, 0.0]]]]), torch.tensor([[[[2.0, 2.0]], [[-1.0, 0.0]]]]))
    tensor([[[[0., 4.]]]])
    """
    weights = gradient.mean(dim=tuple(range(2, level.ndim)), keepdim=True)
    return torch.relu((weights * level.detach()).sum(dim=1, keepdim=True))


def _bring(net: UNet, found: Tensor, stride: PerAxis, space: tuple[int, ...]) -> Float[ndarray, "*space"]:
    on_image: ndarray = spread(found, stride, space, centred=is_centred(net))[0, 0].numpy()
    return on_image / max(float(on_image.max()), float(np.finfo(np.float32).tiny))
