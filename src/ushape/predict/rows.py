"""A stream of slabs that is cut like an array, as long as one goes only forwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from ushape.predict.layout import Region


class Rows:
    """An array (classes, rows, ...) that comes row by row and is forgotten behind the last cut.

    Attributes:
        shape: of the whole.
        dtype: float32.
    """

    def __init__(self, parts: Iterator[tuple[Region, ndarray]], shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(np.float32)
        self._parts, self._start, self._kept = parts, 0, np.empty((shape[0], 0, *shape[2:]), dtype=np.float32)

    def __getitem__(self, key: tuple[slice, slice]) -> ndarray:
        """Return `[:, start:stop]`; the start never lies before that of an earlier cut.

        Raises:
            IndexError: it does.
        """
        start, stop, _ = key[1].indices(self.shape[1])
        if start < self._start:
            raise IndexError(f"rows from {start} on were asked for after those from {self._start} on")
        self._forget(start)
        while self._start + self._kept.shape[1] < stop:
            _, part = next(self._parts)
            self._kept = np.concatenate([self._kept, part], axis=1)
            self._forget(start)
        return self._kept[:, : stop - start]

    def _forget(self, start: int) -> None:
        gone = min(start - self._start, self._kept.shape[1])
        self._kept, self._start = self._kept[:, gone:], self._start + gone
