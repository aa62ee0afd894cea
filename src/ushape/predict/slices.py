"""Volumes slice by slice: a 2D engine behind windows that are one voxel thick."""

from __future__ import annotations

from jaxtyping import Float
from numpy import ndarray

from ushape.predict.engines import Engine


class Slices:
    """Run a 2D engine on windows of single slices along the first axis of a volume."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.classes = engine, engine.classes
        self.margin = (0, *engine.margin) if engine.margin else ()
        self.window = (1, *engine.window) if engine.window else ()

    def __call__(
        self, windows: Float[ndarray, "b channels 1 rows cols"]
    ) -> Float[ndarray, "b classes 1 inner_rows inner_cols"]:
        """Return the probabilities of every slice."""
        return self.engine(windows[:, :, 0])[:, :, None]
