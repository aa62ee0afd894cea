"""Structured pruning: a net with fewer channels on every level, whose config is an ordinary one, its weights cut out.

Which channels stay is decided once where they arise, and followed through all that reads them: the way through the net
is the net's own structure, down the encoder and up the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ushape.core.errors import ConfigError
from ushape.deploy.cut import cut_attention, cut_conv, cut_gate, cut_norm, keep_all, strongest
from ushape.deploy.importance import Importance
from ushape.nets.blocks import ConvUnit, ResidualBlock
from ushape.nets.config import UNetConfig
from ushape.nets.decoder import Decode
from ushape.nets.join import InterpolatedUp, ShuffleUp, TransposedUp
from ushape.nets.ndim import PLAIN_CONVOLUTIONS
from ushape.nets.unet import UNet

Keep = Tensor
"""Indices of the channels that stay, ascending."""


def narrow_config(config: UNetConfig, keep: float) -> UNetConfig:
    """Return a config whose levels have a share of the widths, in multiples of four where there are enough.

    Raises:
        ConfigError: the encoder is not of our own blocks, or levels that differ would become alike.

    >>> narrow_config(UNetConfig(widths=(32, 50, 9)), 0.5).widths
    (16, 24, 4)
    """
    if config.encoder != "plain":
        raise ConfigError(f"prune: expected encoder 'plain', got {config.encoder!r} with widths of its own; try distil")
    widths = {width: narrow_width(width, keep) for width in (*config.widths, *config.decoder.widths)}
    if len(set(widths.values())) < len(widths):
        raise ConfigError(f"prune: levels of different widths would become alike ({widths}); keep more than {keep:g}")
    decoder = {**config.decoder.model_dump(), "widths": [widths[width] for width in config.decoder.widths]}
    changes = {"widths": [widths[width] for width in config.widths], "decoder": decoder, "encoder_weights": "none"}
    return UNetConfig.model_validate({**config.model_dump(), **changes})


def narrow_width(width: int, keep: float) -> int:
    """Return the share of a width, at least 2."""
    share = width * keep
    return max(round(share / 4) * 4 if share >= 8 else round(share), 2)


def prune(net: UNet, config: UNetConfig, importance: Importance) -> UNet:
    """Return a net of the narrower config with the most important channels of a net.

    Raises:
        ConfigError: the narrower config makes a net of another structure.
    """
    small = UNet(config).eval()
    if net.state_dict().keys() != small.state_dict().keys():
        raise ConfigError("prune: with these widths the net would have other layers; choose another --keep")
    with torch.no_grad():
        Pruner(net, small, importance).run()
    return small


class Pruner:
    """Walks through a net and a narrower one side by side."""

    def __init__(self, net: UNet, small: UNet, importance: Importance) -> None:
        self.net: Any = net
        self.small: Any = small
        self.importance = importance

    def run(self) -> None:
        """Fill the narrower net."""
        keep = self.stage("encoder.stem", keep_all(self.net.config.in_channels))
        features: list[Keep] = []
        for number in range(len(self.net.config.widths)):
            keep = self.stage(f"encoder.levels.{number}", keep)
            features.append(keep)
        cut_attention(self.net.bottleneck, self.small.bottleneck, features[-1])
        self.heads(self.sum(self.ascend(self.pyramid(features))))

    def pyramid(self, features: list[Keep]) -> list[Keep]:
        """Go through the pyramid before the decoder, if there is one: behind it all channels stay."""
        old, new = self.net.pyramid, self.small.pyramid
        if old is None or new is None:
            return features
        for wide, narrow, keep in zip(old.lateral, new.lateral, features, strict=True):
            cut_conv(wide, narrow, keep, keep_all(wide.out_channels))
        new.smooth.load_state_dict(old.smooth.state_dict())
        return [keep_all(width) for width in old.widths]

    def ascend(self, features: list[Keep]) -> list[Keep]:
        """Go up the decoder; return what each level keeps, finest first."""
        *skips, keep = features
        levels: list[Keep] = []
        for number in reversed(range(len(skips))):
            keep = self.decode(f"decoder.{number}", keep, skips[number])
            levels.insert(0, keep)
        return levels

    def sum(self, levels: list[Keep]) -> list[Keep]:
        """Go through the sum of all levels before the heads, if there is one."""
        old, new = self.net.sum, self.small.sum
        if old is None or new is None:
            return levels
        for wide, narrow, keep in zip(old.project, new.project, levels, strict=True):
            cut_conv(wide, narrow, keep, keep_all(wide.out_channels))
        return [keep_all(old.project[0].out_channels), *levels[1:]]

    def heads(self, levels: list[Keep]) -> None:
        """Cut the convolutions that end in logits."""
        for wide, narrow, keep in zip(self.net.heads, self.small.heads, levels, strict=False):
            cut_conv(wide, narrow, keep, keep_all(wide.out_channels))

    def stage(self, name: str, keep: Keep) -> Keep:
        """Go through the blocks of a level; an absent stem passes all."""
        old, new = self._pair(name)
        for number, (wide, narrow) in enumerate(zip(old.children(), new.children(), strict=True)):
            walk = self.residual if isinstance(wide, ResidualBlock) else self.sequence
            keep = walk(f"{name}.{number}", wide, narrow, keep)
        return keep

    def sequence(self, name: str, old: nn.Module, new: nn.Module, keep: Keep, last: Keep | None = None) -> Keep:
        """Go through a block's convolutions and what stands behind them.

        Args:
            last: what the last convolution must keep; None leaves it to choose.
        """
        units = [number for number, child in enumerate(old.children()) if isinstance(child, ConvUnit)]
        for number, (wide, narrow) in enumerate(zip(old.children(), new.children(), strict=True)):
            if isinstance(wide, ConvUnit) and isinstance(narrow, ConvUnit):
                fixed = last if number == units[-1] else None
                keep = self.unit(wide, narrow, keep, self._choose(f"{name}.{number}", narrow, fixed))
            else:
                cut_attention(wide, narrow, keep)
        return keep

    def residual(self, name: str, old: Any, new: Any, keep: Keep) -> Keep:
        """Go through a residual block: what is added must be of the same channels."""
        projections = [each for each in zip(old.shortcut, new.shortcut, strict=True) if list(each[0].parameters())]
        out = keep
        if projections:
            out = strongest(self.importance[name], projections[0][1].out_channels)
            for wide, narrow in projections:
                if isinstance(wide, PLAIN_CONVOLUTIONS):
                    cut_conv(wide, narrow, keep, out)
                else:
                    cut_norm(wide, narrow, out)
        return self.sequence(f"{name}.body", old.body, new.body, keep, out)

    def unit(self, old: ConvUnit, new: ConvUnit, keep: Keep, out: Keep) -> Keep:
        """Cut a convolution and its norm."""
        cut_conv(old.conv, new.conv, keep, out)
        cut_norm(old.norm, new.norm, out)
        return out

    def decode(self, name: str, keep: Keep, skip: Keep) -> Keep:
        """Go one level up."""
        old, new = self._pair(name)
        added, adjusted = self.net.config.skip == "add", bool(list(old.join.adjust.parameters()))
        grown = self.up(f"{name}.up", keep, skip if added and not adjusted else None)
        if old.join.gate is not None:
            cut_gate(old.join.gate, new.join.gate, skip, keep)
        before = self._skips_before(old, name)
        if adjusted:
            adjust, narrow = old.join.adjust, new.join.adjust
            out = grown if added else strongest(adjust.weight.flatten(1).norm(dim=1), narrow.out_channels)
            cut_conv(adjust, narrow, skip, out)
            skip = out
        joined = grown if added else torch.cat([skip, before + grown])
        return self.stage(f"{name}.block", joined)

    def up(self, name: str, keep: Keep, tied: Keep | None) -> Keep:
        """Go through an upsampling.

        Args:
            tied: what it must keep, since it is added to that; None leaves it to choose.
        """
        old, new = self._pair(name)
        return UPS[type(old)](self, name, (old, new), keep, tied)

    def transposed(self, name: str, pair: tuple[Any, Any], keep: Keep, tied: Keep | None) -> Keep:
        """Cut a transposed convolution, whose weights begin with what they read."""
        out = self._choose(name, pair[1][0], tied)
        cut_conv(pair[0][0], pair[1][0], out, keep, bias=out)
        return out

    def interpolated(self, name: str, pair: tuple[Any, Any], keep: Keep, tied: Keep | None) -> Keep:
        """Cut the convolution that goes with an interpolation; without one, all stays as it comes."""
        for wide, narrow in ((pair[0].before, pair[1].before), (pair[0].after, pair[1].after)):
            if isinstance(wide, PLAIN_CONVOLUTIONS):
                out = self._choose(name, narrow, tied)
                cut_conv(wide, narrow, keep, out)
                return out
        return keep

    def shuffled(self, name: str, pair: tuple[Any, Any], keep: Keep, tied: Keep | None) -> Keep:
        """Cut a convolution whose channels become voxels: each of the kept ones has a run of them."""
        times = pair[0].conv.out_channels // len(self.importance[name])
        out = tied if tied is not None else strongest(self.importance[name], pair[1].conv.out_channels // times)
        cut_conv(pair[0].conv, pair[1].conv, keep, (out[:, None] * times + torch.arange(times)).flatten())
        return out

    def _skips_before(self, decode: Decode, name: str) -> int:
        """Return how many channels of the skip stand before the grown ones, in the wide net."""
        return decode.join.out_channels - len(self.importance[f"{name}.up"])

    def _choose(self, name: str, narrow: Any, fixed: Keep | None) -> Keep:
        conv: Any = narrow.conv if isinstance(narrow, ConvUnit) else narrow
        return fixed if fixed is not None else strongest(self.importance[name], conv.out_channels)

    def _pair(self, name: str) -> tuple[Any, Any]:
        return self.net.get_submodule(name), self.small.get_submodule(name)


UPS: dict[type[nn.Module], Callable[[Pruner, str, tuple[Any, Any], Keep, Keep | None], Keep]] = {
    TransposedUp: Pruner.transposed,
    InterpolatedUp: Pruner.interpolated,
    ShuffleUp: Pruner.shuffled,
}
