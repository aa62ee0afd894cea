"""The measures of a case, and their means over cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from ushape.core.case import Spacing
from ushape.core.config import unknown
from ushape.core.errors import ConfigError, DataError, ShapeError
from ushape.core.labels import IGNORE
from ushape.measure.instances import InstanceScores, score_instances
from ushape.measure.overlap import Empty, Mask, Overlap, check_grid, count_overlaps
from ushape.measure.surface import SurfaceScores, Tolerances, Unit, bounding_box, score_surface

_SIZES: dict[tuple[str, int], tuple[str, float]] = {
    ("mm", 3): ("volume_ml", 1e-3),
    ("mm", 2): ("area_mm2", 1.0),
    ("px", 3): ("volume_px", 1.0),
    ("px", 2): ("area_px", 1.0),
}


@dataclass(frozen=True)
class ClassScores:
    """The measures of one class in one case.

    Attributes:
        index: class index, or channel of a multilabel mask.
        foreground: whether it counts in the foreground means.
        size_name: column of the predicted size: "volume_ml", "area_px".
        size_per_voxel: what one voxel adds to it.
        surface: None until `measure_surfaces`, and for the background.
    """

    index: int
    name: str
    foreground: bool
    overlap: Overlap
    size_name: str
    size_per_voxel: float
    surface: SurfaceScores | None = None

    def measures(self) -> dict[str, float | int]:
        """Return every measure by column name."""
        overlap = self.overlap
        return {
            "dice": overlap.dice,
            "iou": overlap.iou,
            "precision": overlap.precision,
            "recall": overlap.recall,
            "specificity": overlap.specificity,
            "voxels": overlap.prediction_voxels,
            "label_voxels": overlap.label_voxels,
            self.size_name: overlap.prediction_voxels * self.size_per_voxel,
            f"label_{self.size_name}": overlap.label_voxels * self.size_per_voxel,
            **(self.surface.measures() if self.surface else {}),
        }


@dataclass(frozen=True)
class CaseScores:
    """The measures of one case.

    Attributes:
        pixel_accuracy: share of the voxels with the right class (multilabel: of all voxels of all channels); nan if
            every voxel is ignored.
        instances: None until `measure_instances`.
    """

    case_name: str
    classes: tuple[ClassScores, ...]
    spacing: Spacing
    unit: Unit
    pixel_accuracy: float
    instances: InstanceScores | None = None

    @property
    def foreground(self) -> tuple[ClassScores, ...]:
        """The classes without the background."""
        return tuple(scores for scores in self.classes if scores.foreground)

    @property
    def present(self) -> tuple[ClassScores, ...]:
        """The foreground classes that the prediction or the label has."""
        return tuple(scores for scores in self.foreground if scores.overlap.empty != "both")

    @property
    def foreground_dice(self) -> float:
        """The mean Dice of the foreground classes that are present; nan if none is."""
        return _mean([scores.overlap.dice for scores in self.present])

    @property
    def mean_iou(self) -> float:
        """The mean IoU of all classes that are present, the background included."""
        return _mean([scores.overlap.iou for scores in self.classes if scores.overlap.empty != "both"])

    def measures(self) -> dict[str, float]:
        """Return the measures of the whole case by column name."""
        return {
            "foreground_dice": self.foreground_dice,
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            **(self.instances.measures() if self.instances else {}),
        }

    def empty(self, measure: str) -> Empty:
        """Say which mask has no object, for a measure of objects; "none" for the others."""
        is_of_objects = self.instances is not None and measure in self.instances.measures()
        return self.instances.empty if self.instances and is_of_objects else "none"


def score_case(
    prediction: Mask, label: Mask, *, classes: int | Sequence[str], spacing: Spacing, unit: Unit, name: str
) -> CaseScores:
    """Measure the overlap of a prediction with the truth; voxels that the label ignores count nowhere.

    Args:
        classes: how many there are, or their names, the background first; for multilabel masks (classes, *space) one
            per channel, all of them foreground.
        spacing: voxel size per axis, in `unit`.
    Raises:
        ShapeError: the two are not on one grid, or the spacing has another number of axes.
        DataError: a class index is outside the classes.

    >>> import numpy as np
    >>> truth, guess = np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 1]])
    >>> case = score_case(guess, truth, classes=("background", "cell"), spacing=(1.0, 1.0), unit="px", name="a")
    >>> case.classes[1].name, case.classes[1].overlap.dice, case.classes[1].measures()["label_area_px"]
    ('cell', 0.8, 3.0)
    """
    multilabel = label.dtype == np.bool_
    ndim = label.ndim - multilabel
    if len(spacing) != ndim or ndim not in (2, 3):
        raise ShapeError(f"{name}: expected 2 or 3 axes and a spacing for each, got {label.shape} and {spacing}")
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    overlaps = count_overlaps(prediction, label, len(names))
    size_name, factor = _SIZES[unit, ndim]
    scores = tuple(
        ClassScores(i, names[i], multilabel or i > 0, overlap, size_name, factor * math.prod(spacing))
        for i, overlap in enumerate(overlaps)
    )
    return CaseScores(name, scores, spacing, unit, _accuracy(overlaps, multilabel=multilabel))


def measure_surfaces(
    scores: CaseScores,
    prediction: Mask,
    label: Mask,
    *,
    tolerance: float | None = None,
    boundary_tolerance: float | None = None,
) -> CaseScores:
    """Return the scores with the distances between the borders of each foreground class.

    Ignored voxels belong to neither mask. Each class is measured once, in the box around all foreground.

    Args:
        tolerance: of the normalised surface Dice, in the unit of the spacing; None: 1 mm or 2 px.
        boundary_tolerance: of the boundary F1; None: 0.75 % of the image's diagonal.

    >>> import numpy as np
    >>> truth, guess = np.zeros((2, 8, 8), dtype=int)
    >>> truth[2:5, 2:6] = guess[2:6, 2:6] = 1  # one row too many
    >>> case = score_case(guess, truth, classes=2, spacing=(1.0, 1.0), unit="px", name="a")
    >>> measures = measure_surfaces(case, guess, truth).classes[1].measures()
    >>> {column: round(measures[column], 3) for column in ("hd95_px", "assd_px", "nsd_2px", "boundary_f1_0.75pct")}
    {'hd95_px': 1.0, 'assd_px': 0.273, 'nsd_2px': 1.0, 'boundary_f1_0.75pct': 0.727}
    """
    check_grid(prediction, label)
    space = label.shape[-len(scores.spacing) :]
    tolerances = Tolerances.choose(space, scores.spacing, scores.unit, tolerance, boundary_tolerance)
    guess, truth = _crop(prediction, label)
    classes = tuple(
        replace(one, surface=score_surface(*_masks_of(one.index, guess, truth), scores.spacing, tolerances))
        if one.foreground
        else one
        for one in scores.classes
    )
    return replace(scores, classes=classes)


def measure_instances(
    scores: CaseScores, prediction: Integer[ndarray, "*space"], label: Integer[ndarray, "*space"]
) -> CaseScores:
    """Return the scores with those of the objects; the maps hold object numbers, 0 for background.

    Raises:
        ShapeError: the two are not on one grid.
    """
    return replace(scores, instances=score_instances(prediction, label))


def class_means(scores: Sequence[CaseScores], measure: str) -> dict[str, float]:
    """Average a measure over the cases, for each class by name.

    Cases in which neither the prediction nor the label has the class are left out, and so are infinite distances
    (one of the two has it not). nan where no case remains.

    Raises:
        ConfigError: no class has such a measure; the message lists those there are.

    >>> import numpy as np
    >>> masks = [np.array([[0, 1]]), np.array([[0, 0]])]
    >>> grid = {"classes": 2, "spacing": (1.0, 1.0), "unit": "px"}
    >>> class_means([score_case(mask, masks[0], name="a", **grid) for mask in masks], "dice")
    {'0': 0.8333333333333333, '1': 0.5}
    """
    return {name: _mean(values) for name, values in class_values(scores, measure).items()}


def class_values(scores: Sequence[CaseScores], measure: str) -> dict[str, list[float]]:
    """Collect what `class_means` averages.

    Raises:
        ConfigError: as `class_means`.
    """
    values: dict[str, list[float]] = {one.name: [] for case in scores for one in case.classes}
    columns = {column for case in scores for one in case.classes for column in one.measures()}
    if scores and measure not in columns:
        raise ConfigError(f"scores: {unknown('measure', measure, sorted(columns))}")
    for case in scores:
        for one in case.classes:
            value = one.measures().get(measure, math.nan)
            if one.overlap.empty != "both" and math.isfinite(value):
                values[one.name].append(float(value))
    return values


def mean_foreground_dice(scores: Sequence[CaseScores]) -> float:
    """Average Dice over the cases, then over the foreground classes: the number by which models are compared.

    A class that neither the prediction nor the label of a case has is skipped there. 1 if that is so everywhere:
    nothing was to be found, and nothing was.

    Raises:
        DataError: there is no case.

    >>> import numpy as np
    >>> empty, full = np.zeros((2, 2), dtype=int), np.ones((2, 2), dtype=int)
    >>> grid = {"classes": 2, "spacing": (1.0, 1.0), "unit": "px"}
    >>> pairs = [(empty, empty), (full, full), (empty, full)]  # nothing there, found, missed
    >>> mean_foreground_dice([score_case(guess, truth, name="a", **grid) for guess, truth in pairs])
    0.5
    """
    if not scores:
        raise DataError("mean foreground Dice: expected at least one case, got none")
    foreground = {one.name for case in scores for one in case.foreground}
    means = [dice for name, dice in class_means(scores, "dice").items() if name in foreground]
    found = [dice for dice in means if not math.isnan(dice)]
    return _mean(found) if found else 1.0


def _crop(prediction: Mask, label: Mask) -> tuple[Mask, Mask]:
    """Cut both to the box around the foreground of either; the channels of multilabel masks stay."""
    multilabel = label.dtype == np.bool_
    found = [np.logical_or.reduce(mask) if multilabel else mask > 0 for mask in (prediction, label)]
    box = (slice(None),) * multilabel + bounding_box(found[0] | found[1])
    return prediction[box], label[box]


def _masks_of(index: int, prediction: Mask, label: Mask) -> tuple[ndarray, ndarray]:
    if label.dtype == np.bool_:
        return prediction[index], label[index]
    return (prediction == index) & (label != IGNORE), label == index


def _accuracy(overlaps: Sequence[Overlap], *, multilabel: bool) -> float:
    right = sum(one.true_positives + multilabel * one.true_negatives for one in overlaps)
    first = overlaps[0]
    voxels = first.prediction_voxels + first.false_negatives + first.true_negatives
    total = voxels * (len(overlaps) if multilabel else 1)
    return right / total if total else math.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
