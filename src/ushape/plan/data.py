"""What the images and labels of a recipe are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ushape.core.config import Config
from ushape.core.labels import Labels


class DataConfig(Config):
    """What the images and labels are.

    Attributes:
        channels: of every image; gray images are repeated to fill colour channels.
        labels: the classes and their numbers in the mask files.
        fold: which cases validate: "share" takes some at random, a number that fold of `folds` (counted from 0), "all"
            each fold in turn, for an ensemble, "none" nothing: every case trains.
        folds: into how many parts of equal size the cases are dealt for a fold.
        validation: share of the cases that validate under fold "share"; single cases train without validation.
        groups: regular expression that finds the patient in a case's name; patients are never split. "" for none.
        axes: what the axes of the files' arrays are, such as "ZYX" for a TIFF that does not say; "" believes the file.
        strict: refuse a label that lies on another grid than its image; else it is resampled, with a warning.
    """

    channels: Annotated[int, Field(ge=1)] = 1
    labels: Labels = Labels()
    fold: Annotated[int, Field(ge=0)] | Literal["share", "all", "none"] = "share"
    folds: Annotated[int, Field(ge=2)] = 5
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    groups: str = ""
    axes: str = ""
    strict: bool = False
