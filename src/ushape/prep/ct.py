"""CT windows: the part of the Hounsfield scale in which a tissue shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ushape.core.config import Config
from ushape.prep.statistics import Change, Image

Tissue = Literal["none", "soft_tissue", "lung", "bone", "brain", "liver"]


@dataclass(frozen=True)
class Range:
    """A window as radiologists name it, in HU."""

    level: float
    width: float


TISSUES: dict[str, Range] = {
    "soft_tissue": Range(level=50.0, width=400.0),
    "lung": Range(level=-600.0, width=1500.0),
    "bone": Range(level=400.0, width=1800.0),
    "brain": Range(level=40.0, width=80.0),
    "liver": Range(level=30.0, width=150.0),
}
"""Windows in common use; readers differ by some tens of HU."""


class Window(Config):
    """Map a window of CT numbers to [0, 1]: what lies below becomes 0, what lies above 1.

    Attributes:
        preset: the tissue to show, or "none" where level and width are given.
        level: the middle of the window in HU.
        width: from its lower to its upper end in HU.
    """

    name: Literal["window"] = "window"
    preset: Tissue = "none"
    level: float | Literal["none"] = "none"
    width: Annotated[float, Field(gt=0)] | Literal["none"] = "none"

    @model_validator(mode="after")
    def _says_one_window(self) -> Window:
        numbers = [value for value in (self.level, self.width) if value != "none"]
        if len(numbers) != (2 if self.preset == "none" else 0):
            raise ValueError("a window is either a preset, or a level and a width")
        return self

    @property
    def range(self) -> Range:
        """Level and width, in HU."""
        if self.level == "none" or self.width == "none":
            return TISSUES[self.preset]
        return Range(self.level, self.width)

    def measure(self, _: Image) -> Change:
        """Return the window's mapping; nothing depends on the image.

        >>> Window(level=40, width=80).measure(np.zeros((1, 1, 1)))(np.array([-5.0, 20.0, 60.0])).tolist()
        [0.0, 0.25, 0.75]
        """
        low, width = self.range.level - self.range.width / 2, self.range.width
        return lambda part: np.clip((part - low) / width, 0, 1)
