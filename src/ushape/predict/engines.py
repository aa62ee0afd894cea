"""What runs a network on windows: one small protocol, numpy in and out, so that any runtime fits behind it.

One file for each runtime stands beside this one, and imports its runtime; here nothing heavy is imported.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@runtime_checkable
class Engine(Protocol):
    """Runs a network on a batch of windows.

    An engine takes any number of windows at once; one whose runtime has a fixed batch splits or fills them itself.
    The same windows always give the same probabilities.

    Attributes:
        classes: how many probabilities each voxel gets, the background's included.
        margin: voxels per axis by which the probabilities are smaller than the window at each side; () for none, as
            with all but unpadded convolutions.
        window: the only size of windows it takes, per axis; () for any, as with all but files exported at one size.
    """

    classes: int
    margin: tuple[int, ...]
    window: tuple[int, ...]

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return probabilities in float32; they sum to 1 over the classes, unless these may overlap.

        They may be overwritten by the caller.

        Args:
            windows: in float32, not always contiguous.
        """
        ...


def to_probabilities(
    logits: Float[ndarray, "b outputs *inner"], classes: int = 2
) -> Float[ndarray, "b classes *inner"]:
    """Turn the logits of a runtime that gives arrays into probabilities, in float32.

    Softmax over the classes; an output less than there are classes are logits of the foreground's, by a sigmoid each,
    whose background is added: that of the likeliest of them not being there.

    >>> to_probabilities(np.array([[[0.0]]])).tolist(), to_probabilities(np.array([[[800.0], [0.0]]])).tolist()
    ([[[0.5], [0.5]]], [[[1.0], [0.0]]])
    """
    logits = logits.astype(np.float32)
    if logits.shape[1] == classes - 1:
        small = np.exp(-np.abs(logits))
        foreground = np.where(logits < 0, small, 1) / (1 + small)
        return np.concatenate([1 - foreground.max(axis=1, keepdims=True), foreground], axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits, out=logits)
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials
