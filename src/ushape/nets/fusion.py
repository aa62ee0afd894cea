"""Fusing the scales: a pyramid over the encoder's levels, or the sum of the decoder's."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from ushape.nets.grid import resize_to
from ushape.nets.ndim import LAYERS, Dim


class Pyramid(nn.Module):
    """Add to every encoder level what the coarser ones know, from the coarsest up, and give all one width.

    Shapes:
        input: per level (b, channels, *space); output: per level (b, width, *space), an empty level stays empty
    Source: Lin et al. 2017, arXiv:1612.03144, sec. 3; interpolates linearly.
    """

    def __init__(self, ndim: Dim, channels: Sequence[int], width: int) -> None:
        super().__init__()
        conv = LAYERS[ndim].conv
        self.widths = tuple(width if count else 0 for count in channels)
        self.lateral = nn.ModuleList(conv(count, width, 1) if count else nn.Identity() for count in channels)
        self.smooth = nn.ModuleList(conv(width, width, 3, padding=1) if count else nn.Identity() for count in channels)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Go from the coarsest level to the finest."""
        sums = [self.lateral[-1](features[-1])]
        for lateral, level, width in reversed(list(zip(self.lateral, features, self.widths, strict=True))[:-1]):
            sums.insert(0, lateral(level) + resize_to(sums[0], level.shape[2:]) if width else level)
        return [smooth(level) for smooth, level in zip(self.smooth, sums, strict=True)]


class LevelSum(nn.Module):
    """Bring all decoder levels to one width and to the finest grid, and add them.

    Shapes:
        input: per level (b, channels, *space); output: (b, width, *finest)
    Source: Kirillov et al. 2019, arXiv:1901.02446, fig. 3, with one 1x1 convolution per level.
    """

    def __init__(self, ndim: Dim, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(LAYERS[ndim].conv(count, width, 1) for count in channels)

    def forward(self, levels: list[Tensor]) -> Float[Tensor, "b width *space"]:
        """Project where a level is small, then interpolate and add."""
        total: Tensor = self.project[0](levels[0])
        for project, level in zip(self.project[1:], levels[1:], strict=True):
            total = total + resize_to(project(level), total.shape[2:])
        return total
