"""Copy the kept channels of one layer into a narrower one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ushape.nets.attention import CBAM, SelfAttention, SpatialChannelExcite, SqueezeExcite
from ushape.nets.ndim import PLAIN_CONVOLUTIONS
from ushape.nets.transunet import Transformer

Keep = Int[Tensor, " kept"]


def keep_all(width: int) -> Keep:
    """Return the indices of all channels."""
    return torch.arange(width)


def strongest(importance: Float[Tensor, " channels"], count: int) -> Keep:
    """Return the indices of the most important channels, ascending.

    >>> strongest(torch.tensor([0.1, 3.0, 2.0]), 2)
    tensor([1, 2])
    """
    return importance.topk(count).indices.sort().values


def cut_conv(old: Any, new: Any, reads: Keep, writes: Keep, bias: Keep | None = None) -> None:
    """Copy the kept weights of a convolution; a transposed one has its two axes the other way round.

    Args:
        reads: the second axis of the weights.
        writes: their first axis.
        bias: of the bias, if it is not the first axis.
    """
    new.weight.copy_(old.weight[writes][:, reads])
    if old.bias is not None:
        new.bias.copy_(old.bias[writes if bias is None else bias])


def cut_norm(old: nn.Module, new: nn.Module, keep: Keep) -> None:
    """Copy the kept scales, shifts and statistics of a norm."""
    state = {key: value[keep] if value.ndim else value for key, value in old.state_dict().items()}
    new.load_state_dict(state)


def cut_pair(first: tuple[Any, Any], second: tuple[Any, Any], keep: Keep) -> None:
    """Cut two convolutions with a few channels between them, given as (old, new) each: `keep` goes in and comes out."""
    inner = strongest(first[0].weight.flatten(1).norm(dim=1), first[1].out_channels)
    cut_conv(first[0], first[1], keep, inner)
    cut_conv(second[0], second[1], inner, keep)


def cut_gate(old: Any, new: Any, skip: Keep, coarse: Keep) -> None:
    """Cut an attention gate: it reads the skip and the coarser level, and its inner channels are tied."""
    inner = strongest(old.score[0].weight[0].flatten(1).norm(dim=1), new.score[0].in_channels)
    for name, reads, writes in (
        ("from_skip", skip, inner),
        ("from_gate", coarse, inner),
        ("score", inner, keep_all(1)),
    ):
        for wide, narrow in zip(getattr(old, name), getattr(new, name), strict=True):
            if isinstance(wide, PLAIN_CONVOLUTIONS):
                cut_conv(wide, narrow, reads, writes)
            else:
                cut_norm(wide, narrow, writes)


def cut_attention(old: nn.Module, new: nn.Module, keep: Keep) -> None:
    """Cut what stands at the end of a block or at the bottleneck, if it has weights; what enters is what leaves."""
    if type(old) in ATTENTIONS:
        ATTENTIONS[type(old)](old, new, keep)


def _cut_se(old: Any, new: Any, keep: Keep) -> None:
    cut_pair((old.weigh[0], new.weigh[0]), (old.weigh[2], new.weigh[2]), keep)


def _cut_cbam(old: Any, new: Any, keep: Keep) -> None:
    cut_pair((old.mlp[0], new.mlp[0]), (old.mlp[2], new.mlp[2]), keep)
    new.spatial.load_state_dict(old.spatial.state_dict())


def _cut_scse(old: Any, new: Any, keep: Keep) -> None:
    cut_pair((old.channel[0], new.channel[0]), (old.channel[2], new.channel[2]), keep)
    cut_conv(old.spatial, new.spatial, keep, keep_all(1))


def _cut_self_attention(old: Any, new: Any, keep: Keep) -> None:
    strength = old.query.weight.flatten(1).norm(dim=1) * old.key.weight.flatten(1).norm(dim=1)
    inner = strongest(strength, new.query.out_channels)
    cut_conv(old.query, new.query, keep, inner)
    cut_conv(old.key, new.key, keep, inner)
    cut_conv(old.value, new.value, keep, keep)
    new.gamma.copy_(old.gamma)


def _cut_transformer(old: Any, new: Any, keep: Keep) -> None:
    state = {key: value for key, value in old.state_dict().items() if not key.startswith(("embed.", "back."))}
    new.load_state_dict(state, strict=False)
    width = old.embed.out_channels
    cut_conv(old.embed, new.embed, keep, keep_all(width))
    cut_conv(old.back, new.back, keep_all(width), keep)


ATTENTIONS: dict[type[nn.Module], Callable[[Any, Any, Keep], None]] = {
    SqueezeExcite: _cut_se,
    CBAM: _cut_cbam,
    SpatialChannelExcite: _cut_scse,
    SelfAttention: _cut_self_attention,
    Transformer: _cut_transformer,
}
