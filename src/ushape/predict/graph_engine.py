"""The engine of every runtime that loads a graph and takes and gives arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.predict.engines import to_probabilities


@runtime_checkable
class Graph(Protocol):
    """A graph that a runtime has loaded.

    Attributes:
        inputs: the sizes of (batch, channels, *window) that it takes, 0 where any goes.
        outputs: the channels that it returns; 0 if it does not say.
    """

    inputs: tuple[int, ...]
    outputs: int

    def run(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b outputs *inner"]:
        """Return what the graph makes of contiguous windows, as an array of the caller's own.

        Raises:
            ModelFileError: it does not take these windows.
        """
        ...


class GraphEngine:
    """Run a loaded graph on the CPU.

    A graph with a fixed batch gets its windows in portions of it, the last one filled up.

    Attributes:
        ndim: how many axes its windows have.
        channels: of its windows; 0 for any.
        outputs: the channels that it returns; 0 if it does not say.
        has_probabilities: whether it ends in softmax or sigmoid.
    """

    def __init__(self, graph: Graph, classes: int, *, margin: tuple[int, ...] = ()) -> None:
        self._graph = graph
        self._batch, self.channels, *sizes = graph.inputs
        self.ndim, self.window, self.outputs = len(sizes), tuple(sizes) if all(sizes) else (), graph.outputs
        self.classes, self.margin = classes, margin
        self.has_probabilities = False

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return the probabilities of a batch of windows.

        Raises:
            ModelFileError: the graph does not take these windows.
        """
        outputs = run_portions(self._graph.run, np.ascontiguousarray(windows), self._batch)
        return finish_outputs(outputs, self.classes, activated=self.has_probabilities)


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
