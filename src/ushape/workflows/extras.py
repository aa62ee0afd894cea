"""What is written beside the masks on request: uncertainty and objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ushape.core.case import Case, Prediction
from ushape.core.errors import ConfigError
from ushape.core.labels import Labels
from ushape.io.outputs import Grid, write_mask, write_probabilities
from ushape.predict.instances import InstanceConfig, split_objects
from ushape.workflows.targets import Target

Instances = Literal["none", "components", "watershed"]


@dataclass(frozen=True)
class Extras:
    """What else is written.

    Attributes:
        uncertainty: under uncertainty/: a channel of entropy, and where there are mirrors or members another of how
            far they disagree.
        instances: how classes are split into numbered objects, under instances/, in 16 or 32 bits; or "none".
    """

    uncertainty: bool = False
    instances: Instances = "none"


def list_extras(target: Target, extras: Extras) -> list[Path]:
    """List the files of what was asked for."""
    uncertainty = [target.beside("uncertainty")] if extras.uncertainty else []
    return [*uncertainty, *([target.objects] if extras.instances != "none" else [])]


def check_extras(extras: Extras, labels: Labels) -> None:
    """Refuse what has no meaning for classes that may overlap.

    Raises:
        ConfigError: it was asked for.
    """
    if labels.overlap != "none" and extras != Extras():
        raise ConfigError(
            "--uncertainty and --instances: expected classes that exclude each other, got some that may overlap; leave "
            "them out"
        )


def write_extras(target: Target, case: Case, prediction: Prediction, extras: Extras) -> None:
    """Write what was asked for, in the mask's format (NIfTI beside DICOM-SEG); probabilities' for the uncertainty.

    Raises:
        DataError: the format cannot hold so many objects.
        OutputError: the place cannot be written.
    """
    grid = Grid(case.geometry, Path(case.source))
    if extras.uncertainty and prediction.uncertainty is not None:
        write_probabilities(target.beside("uncertainty"), prediction.uncertainty.astype(np.float16), grid=grid)
    if extras.instances != "none":
        objects = split_objects(prediction.label, case.geometry, InstanceConfig(method=extras.instances))
        write_mask(target.objects, objects, grid=grid, at_least=np.uint16)
