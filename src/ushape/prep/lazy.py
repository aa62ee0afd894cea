"""Preparation of images larger than memory: values are changed when a part is cut, and the grid stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from ushape.core.case import ArrayLike, Case
from ushape.core.errors import DataError
from ushape.prep.crop import Crop
from ushape.prep.intensity import ClipPercentiles
from ushape.prep.orient import Reorient
from ushape.prep.pipeline import PrepConfig
from ushape.prep.statistics import Change

Turned = Callable[[ndarray], ndarray]
"""Takes an array on the given grid to a view of it on the prepared grid."""


@dataclass(frozen=True, eq=False)
class LazyImage:
    """An image that is read, checked and changed in float32 part by part; cut all channels at once.

    Attributes:
        stored: where it is read from.
        changes: of its values, in their order.
        where: what messages call it.
    """

    stored: ArrayLike
    changes: tuple[Change, ...]
    where: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of every axis."""
        return tuple(self.stored.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.stored.shape)

    @property
    def dtype(self) -> Any:
        """What parts are cut in: float32."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        """The number of channels."""
        return int(self.stored.shape[0])

    def __getitem__(self, key: Any) -> Float32[ndarray, "channels *part"]:
        """Cut a part.

        Raises:
            DataError: it holds NaN or infinite values.
        """
        part = np.array(self.stored[key], dtype=np.float32, order="C")
        if not np.isfinite(part).all():
            raise DataError(f"{self.where}: expected finite pixels, got NaN or inf; repair the image")
        for change in self.changes:
            part = change(part).astype(np.float32, copy=False)
        return part


def is_lazy(config: PrepConfig, case: Case) -> bool:
    """Tell whether a case can be prepared without being held in memory.

    It cannot if it is resampled, fitted to a size, or clipped at percentiles; and if it is cropped or turned, then only
    from an array or a memory map.
    """
    grid = config.resample.spacing in ("none", case.geometry.spacing) and config.fit.size == "none"
    values = not any(isinstance(step, ClipPercentiles) for step in config.intensity)
    views = isinstance(case.image, ndarray) or (config.crop == "none" and not case.geometry.is_placed)
    return grid and values and views


def prepare_lazily(case: Case, config: PrepConfig) -> tuple[Case, Turned]:
    """Prepare a case of which `is_lazy` is true: the same values as `Pipeline.forward`, read part by part.

    Each step that measures the image reads it once or twice.

    Returns:
        The case, and what takes an array on the given grid to the prepared one, so that writing there writes here.
    """
    turned, reoriented = Reorient(config.orientation).forward(case)
    cut, cropped = Crop(config.crop).forward(turned)
    where = case.source or case.name
    image = LazyImage(cut.image, (), where)
    for step in config.intensity:
        image = replace(image, changes=(*image.changes, step.measure(image)))
    return cut.with_image(image), lambda array: cropped.forward(reoriented.forward(array), 0.0)
