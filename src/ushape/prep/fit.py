"""Fit: pad or crop every case to one size, around its centre."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from numpy import ndarray
from pydantic import Field

from ushape.core.case import Case, image_in_memory
from ushape.core.config import Config
from ushape.core.errors import ConfigError
from ushape.prep.box import Boxed, box_case

FILLS: dict[str, Callable[[ndarray], float]] = {"zero": lambda _: 0.0, "minimum": lambda channel: float(channel.min())}


class FitConfig(Config):
    """To which size cases are brought.

    Attributes:
        size: voxels per axis, or "none" to keep each case's own.
        fill: value around smaller images: "zero", or each channel's "minimum" (air, in CT).
    """

    size: tuple[Annotated[int, Field(ge=1)], ...] | Literal["none"] = "none"
    fill: Literal["zero", "minimum"] = "zero"


class Fit:
    """Pad or crop a case around its centre.

    Around smaller images the label is ignored. What is cut off larger ones comes back as background.
    """

    def __init__(self, config: FitConfig) -> None:
        self.config = config

    def forward(self, case: Case) -> tuple[Case, Boxed]:
        """Return the case at the size asked for, and the way back.

        Raises:
            ConfigError: the size has another number of axes than the case.
        """
        box = centre_box(case.space, self._size(case.space))
        if box.is_whole:
            return case, box
        fill = FILLS[self.config.fill]
        return box_case(case, box, [fill(channel) for channel in image_in_memory(case)]), box

    def _size(self, space: tuple[int, ...]) -> tuple[int, ...]:
        size = space if self.config.size == "none" else self.config.size
        if len(size) != len(space):
            raise ConfigError(f"prep.fit.size: expected {len(space)} numbers, one per axis, got {list(size)}")
        return size


def centre_box(space: tuple[int, ...], size: tuple[int, ...]) -> Boxed:
    """Return the box of `size` in the middle of a grid; where the rest is odd, the longer end comes last.

    >>> centre_box((5, 4), (2, 7))
    Boxed(starts=(1, -1), sizes=(2, 7), space=(5, 4))
    """
    halves = [abs(have - want) // 2 * (1 if have > want else -1) for have, want in zip(space, size, strict=True)]
    return Boxed(tuple(halves), size, space)
