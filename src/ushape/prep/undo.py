"""The way back: what takes a prediction from the prepared grid to the grid of the case that was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Integer, Num
from numpy import ndarray

from ushape.core.case import Case

Decide = Callable[[ndarray], ndarray]
"""Turns (classes, *space) probabilities into (*space) class indices, each voxel by itself."""


@runtime_checkable
class Undo(Protocol):
    """The way back of one step, for arrays that lie on its output grid."""

    def probabilities(self, array: ndarray) -> ndarray:
        """Take (classes, *space) to the input grid."""
        ...

    def label(self, label: ndarray) -> ndarray:
        """Take class indices (*space) to the input grid; no new values appear."""
        ...


UndoT_co = TypeVar("UndoT_co", bound=Undo, covariant=True)


@runtime_checkable
class Step(Protocol[UndoT_co]):
    """One step of preparation. It never changes the arrays it is given."""

    def forward(self, case: Case) -> tuple[Case, UndoT_co]:
        """Return the changed case, and the way back for a prediction made on it."""
        ...


def choose_likeliest(probabilities: Num[ndarray, "classes *space"]) -> Integer[ndarray, "*space"]:
    """Return the class with the highest probability at each voxel, the lowest class if several tie."""
    return probabilities.argmax(axis=0).astype(np.int16)
