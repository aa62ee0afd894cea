"""What engines share whose runtime takes and gives arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.predict.engines import to_probabilities


def run_portions(run: Callable[[ndarray], ndarray], windows: ndarray, batch: int) -> ndarray:
    """Run a graph of a fixed batch on any number of windows, the last portion filled up; 0 takes all at once.

    >>> run_portions(lambda part: part * part.shape[0], np.ones((3, 1)), 2).tolist()
    [[2.0], [2.0], [2.0]]
    """
    if batch in (0, len(windows)):
        return run(windows)
    missing = -len(windows) % batch
    filled = np.concatenate([windows, np.repeat(windows[:1], missing, axis=0)])
    parts = [run(filled[start : start + batch]) for start in range(0, len(filled), batch)]
    return np.concatenate(parts)[: len(windows)]


def finish_outputs(
    outputs: Float[ndarray, "b outputs *inner"], classes: int = 2, *, activated: bool
) -> Float[ndarray, "b classes *inner"]:
    """Make probabilities of what a graph returns.

    Args:
        classes: with one output less, that of the background is added, see `to_probabilities`.
        activated: they are probabilities already.

    >>> finish_outputs(np.array([[[0.25]]]), activated=True).tolist()
    [[[0.75], [0.25]]]
    """
    if not activated:
        return to_probabilities(outputs, classes)
    found = outputs.astype(np.float32)
    if found.shape[1] != classes - 1:
        return found
    return np.concatenate([1 - found.max(axis=1, keepdims=True), found], axis=1)
