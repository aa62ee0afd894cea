"""What is written beside the masks on request: uncertainty and objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ushape.core.case import Case, Prediction
from ushape.core.errors import ConfigError
from ushape.core.labels import Labels
from ushape.io.images import split_name
from ushape.io.outputs import Grid, probabilities_name, write_mask, write_probabilities
from ushape.io.segments import SEG
from ushape.predict.instances import InstanceConfig, split_objects
from ushape.workflows.targets import Target

Instances = Literal["none", "components", "watershed"]


@dataclass(frozen=True)
class Extras:
    """What else is written.

    Attributes:
        uncertainty: two channels under uncertainty/: entropy, and the disagreement of mirrors and members.
        instances: how classes are split into numbered objects, under instances/, in 16 or 32 bits; or "none".
    """

    uncertainty: bool = False
    instances: Instances = "none"


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
    folder, grid = target.mask.parent, Grid(case.geometry, Path(case.source))
    if extras.uncertainty and prediction.uncertainty is not None:
        path = folder / "uncertainty" / probabilities_name(target.pair.image, case.name)
        write_probabilities(path, prediction.uncertainty.astype(np.float16), grid=grid)
    if extras.instances != "none":
        objects = split_objects(prediction.label, case.geometry, InstanceConfig(method=extras.instances))
        name = f"{split_name(target.mask)[0]}.nii.gz" if split_name(target.mask)[1] == SEG else target.mask.name
        write_mask(folder / "instances" / name, objects, grid=grid, at_least=np.uint16)
