"""Which channels of a net matter: how much the logits would change without each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from ushape.nets.blocks import ConvUnit, ResidualBlock
from ushape.nets.join import InterpolatedUp, ShuffleUp, TransposedUp

CHOSEN = (ConvUnit, ResidualBlock, TransposedUp, InterpolatedUp, ShuffleUp)
"""The modules whose output channels pruning chooses from."""
ROUNDS = 4
"""How often each window is looked at, each time by other random weights on the logits."""

Importance = dict[str, Float[Tensor, " channels"]]
"""By the name of a module."""


def rank_channels(net: nn.Module, windows: Sequence[Float[ndarray, "one channels *window"]]) -> Importance:
    """Estimate, for every output channel, the change of the logits if it were zero.

    To first order a channel a adds sum(a * dy/da) to an output y. Here y is the sum of all logits with random signs, so
    that the mean of its square over the signs is the sum of the squared changes. No label is needed.

    Source: Molchanov et al. 2019, arXiv:1906.10771, eq. 8, with the logits in place of the loss.
    """
    found: dict[str, Tensor] = {}
    signs = torch.Generator().manual_seed(0)
    for window in windows:
        for _ in range(ROUNDS):
            with watch_outputs(net) as outputs, torch.enable_grad():
                logits = net(torch.from_numpy(np.ascontiguousarray(window)))
                weights = torch.randint(0, 2, logits.shape, generator=signs) * 2.0 - 1
                grads = torch.autograd.grad((logits * weights).sum(), list(outputs.values()), allow_unused=True)
            for (name, output), grad in zip(outputs.items(), grads, strict=True):
                change = (
                    torch.zeros(output.shape[1]) if grad is None else (output * grad).flatten(2).sum((0, 2)).square()
                )
                found[name] = found.get(name, torch.zeros(())) + change.detach()
    return found


@contextmanager
def watch_outputs(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of the modules that pruning chooses from, by name, while a net runs."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, __: object, output: Tensor) -> None:
        seen[name] = output

    hooks = [
        module.register_forward_hook(partial(keep, name))
        for name, module in net.named_modules()
        if isinstance(module, CHOSEN)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
