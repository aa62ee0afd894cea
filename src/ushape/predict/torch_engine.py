"""Torch as an engine: any device, in the precision that is fast there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from ushape.core.layout import lay_out_images

Precision = Literal["float32", "bf16", "fp16"]
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """Run a torch network; on a CPU with the channels of a window innermost, which is faster.

    A network with an output less than there are classes gives probabilities of the foreground's, by a sigmoid each; the
    background's is added: that of the likeliest of them not being there.
    """

    def __init__(
        self,
        net: nn.Module,
        classes: int,
        *,
        margin: tuple[int, ...] = (),
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.net = net.to(device).eval()
        self.classes, self.margin = classes, margin
        self.window: tuple[int, ...] = ()
        self.device, self.precision = torch.device(device), precision

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return the probabilities of a batch of windows."""
        batch = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        batch = lay_out_images(batch, channels_last=self.device.type == "cpu")
        return torch_probabilities(self.net, batch, self.precision, self.classes).cpu().numpy()


def torch_probabilities(
    net: nn.Module, windows: Float[Tensor, "b channels *window"], precision: Precision, classes: int = 2
) -> Float[Tensor, "b classes *inner"]:
    """Run a network that is in eval mode and turn its logits into probabilities, in float32."""
    enabled = precision != "float32"
    with torch.inference_mode(), torch.autocast(windows.device.type, AUTOCAST.get(precision), enabled=enabled):
        logits = net(windows)
    if logits.shape[1] == classes - 1:
        foreground = torch.sigmoid(logits.float())
        return torch.cat([1 - foreground.amax(dim=1, keepdim=True), foreground], dim=1)
    return torch.softmax(logits.float(), dim=1)


def default_precision(device: str) -> Precision:
    """Choose the precision that is fast and safe for prediction on a device: bf16 where its hardware has it.

    A CPU without bf16 instructions computes faster in float32.
    """
    if device == "cpu":
        features = _cpu_features()
        return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "float32"
    has_bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "float32"


def _cpu_features() -> Mapping[str, Any]:
    return getattr(torch.cpu, "get_capabilities", dict)()  # not every torch that serves has it
