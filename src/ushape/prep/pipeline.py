"""The chain of steps between a case as it was read and a case as a net wants it, walkable in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer, Num
from numpy import ndarray
from pydantic import field_validator

from ushape.core.case import ArrayLike, Case
from ushape.core.config import Config, choose
from ushape.prep.box import Boxed
from ushape.prep.crop import Content, Crop
from ushape.prep.fit import Fit, FitConfig
from ushape.prep.intensity import PRESETS, IntensityStep, ZScore, normalise
from ushape.prep.orient import Orientation, Reorient, Reoriented
from ushape.prep.resample import Resample, ResampleConfig, Resampled
from ushape.prep.undo import Decide, Step, choose_likeliest


class PrepConfig(Config):
    """How cases are made comparable for a net, in this order: reorient, crop, resample, change values, fit.

    Attributes:
        orientation: "canonical" turns volumes until their axes run towards superior, anterior and right.
        crop: "nonzero" leaves out the margin in which all channels are 0.
        intensity: what is done to the values, in this order; or the name of a chain in `intensity.PRESETS`.
        resample: to which spacing.
        fit: to which size, at last.
    """

    orientation: Orientation = "none"
    crop: Content = "none"
    intensity: tuple[IntensityStep, ...] = (ZScore(),)
    resample: ResampleConfig = ResampleConfig()
    fit: FitConfig = FitConfig()

    @field_validator("intensity", mode="before")
    @classmethod
    def _name_or_steps(cls, value: object) -> object:
        return choose(value, PRESETS, "chain of intensity steps") if isinstance(value, str) else value


@dataclass(frozen=True, eq=False)
class WayBack:
    """Takes a prediction from the prepared grid to the grid of the case that was given.

    Attributes:
        reoriented, cropped, resampled, fitted: the way back of each step; `cropped.removed` is the share left out.
    """

    reoriented: Reoriented
    cropped: Boxed
    resampled: Resampled
    fitted: Boxed

    def __call__(self, probabilities: Num[ndarray, "classes *space"]) -> Num[ndarray, "classes *given"]:
        """Return probabilities on the case's own grid: linear if it was resampled, background where it was cut off."""
        for undo in (self.fitted, self.resampled, self.cropped, self.reoriented):
            probabilities = undo.probabilities(probabilities)
        return probabilities

    @property
    def is_resampled(self) -> bool:
        """Whether probabilities must be interpolated on the way back."""
        return self.resampled.changes

    def label(self, probabilities: ArrayLike, decide: Decide = choose_likeliest) -> Integer[ndarray, "*given"]:
        """Return class indices on the case's own grid, without ever holding all probabilities on it.

        The same as `decide(undo(probabilities))`, slab by slab.

        Args:
            probabilities: (classes, *space); if the case was not fitted, anything that is cut by rows, forwards.
            decide: turns the probabilities of some voxels into class indices, each voxel by itself.
        """
        fitted = probabilities if self.fitted.is_whole else self.fitted.probabilities(np.asarray(probabilities[...]))
        return self.reoriented.label(self.cropped.label(self.resampled.decide(fitted, decide)))

    def take_label(self, label: Integer[ndarray, "*space"]) -> Integer[ndarray, "*given"]:
        """Return class indices on the case's own grid; of a resampled case rather give probabilities to `label`."""
        for undo in (self.fitted, self.resampled, self.cropped, self.reoriented):
            label = undo.label(label)
        return label


class Pipeline:
    """The steps of a `PrepConfig`, in order.

    Law: an array that lies on the output grid comes back on the input grid; exactly, unless the case was resampled.
    """

    def __init__(self, config: PrepConfig) -> None:
        self.config = config
        self._reorient: Step[Reoriented] = Reorient(config.orientation)
        self._crop: Step[Boxed] = Crop(config.crop)
        self._resample: Step[Resampled] = Resample(config.resample)
        self._fit: Step[Boxed] = Fit(config.fit)

    def forward(self, case: Case) -> tuple[Case, WayBack]:
        """Walk all steps; return the prepared case and the whole way back. The case that is given stays as it is.

        Raises:
            ConfigError: a spacing or size has another number of axes than the case.
            DataError: the image holds NaN or infinite values, or its spacing another unit than the config's.
        """
        turned, reoriented = self._reorient.forward(case)
        cut, cropped = self._crop.forward(turned)
        scaled, resampled = self._resample.forward(cut)
        normal = normalise(scaled, self.config.intensity, in_place=not _share_memory(scaled.image, case.image))
        fitted, boxed = self._fit.forward(normal)
        return fitted, WayBack(reoriented, cropped, resampled, boxed)


def _share_memory(first: ArrayLike, second: ArrayLike) -> bool:
    if isinstance(first, ndarray) and isinstance(second, ndarray):
        return bool(np.may_share_memory(first, second))
    return first is second
