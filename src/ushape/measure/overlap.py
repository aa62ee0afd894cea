"""Measures of overlap, all from one count of the voxels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from ushape.core.errors import DataError, ShapeError
from ushape.core.labels import IGNORE

Mask = Integer[ndarray, "..."] | Bool[ndarray, "classes ..."]
Empty = Literal["none", "prediction", "label", "both"]
_SLAB_VOXELS = 2**18  # what a count holds at a time stays in the processor's cache


@dataclass(frozen=True)
class Overlap:
    """How the voxels of one class in one case agree.

    Empty masks: if neither prediction nor label has the class, Dice, IoU, precision and recall are 1 and `empty` is
    "both"; if one of them lacks it they are 0. Specificity is 1 where no voxel is outside the label.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def prediction_voxels(self) -> int:
        """The size of the predicted mask."""
        return self.true_positives + self.false_positives

    @property
    def label_voxels(self) -> int:
        """The size of the true mask."""
        return self.true_positives + self.false_negatives

    @property
    def empty(self) -> Empty:
        """Which of the two masks lack the class."""
        return find_empty(self.prediction_voxels, self.label_voxels)

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return self._share(2 * self.true_positives, self.prediction_voxels + self.label_voxels)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._share(self.true_positives, self.prediction_voxels + self.false_negatives)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._share(self.true_positives, self.prediction_voxels)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), also called sensitivity."""
        return self._share(self.true_positives, self.label_voxels)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP)."""
        outside = self.true_negatives + self.false_positives
        return self.true_negatives / outside if outside else 1.0

    def _share(self, part: int, whole: int) -> float:
        return part / whole if whole else float(self.empty == "both")


def confusion_matrix(
    prediction: Integer[ndarray, "*space"], label: Integer[ndarray, "..."], classes: int
) -> Integer[ndarray, "{classes} {classes}"]:
    """Count the voxels of each pair (true class, predicted class), ignored voxels of the label left out.

    One pass, about 10 ns per voxel; the memory does not grow with the volume.

    Raises:
        ShapeError: the two are not on one grid.
        DataError: a class index is outside 0 .. classes - 1.

    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 1, 1, 0]), np.array([0, 1, 0, -1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    check_grid(prediction, label)
    counts = np.zeros(classes * classes, dtype=np.int64)
    for predicted, true in _slabs(prediction, label):
        known = true != IGNORE
        if not known.all():
            predicted, true = predicted[known], true[known]  # noqa: PLW2901 - the rest counts nowhere
        _check_range(predicted, classes, "prediction")
        _check_range(true, classes, "label")
        pairs = true.astype(np.intp) * classes + predicted.astype(np.intp)
        counts += np.bincount(pairs.ravel(), minlength=counts.size)
    return counts.reshape(classes, classes)


def find_empty(predicted: int, true: int) -> Empty:
    """Say which of two masks is empty, from how many voxels or objects they hold.

    >>> find_empty(0, 3), find_empty(0, 0)
    ('prediction', 'both')
    """
    table: dict[tuple[bool, bool], Empty] = {
        (False, False): "none",
        (True, False): "prediction",
        (False, True): "label",
        (True, True): "both",
    }
    return table[predicted == 0, true == 0]


def count_overlaps(prediction: Mask, label: Mask, classes: int) -> tuple[Overlap, ...]:
    """Count how each class agrees; for multilabel masks (classes, *space) each channel is a class.

    Raises:
        ShapeError, DataError: as `confusion_matrix`.

    >>> import numpy as np
    >>> count_overlaps(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)[1].dice
    0.6666666666666666
    """
    if label.dtype == np.bool_:
        return _count_channels(prediction, label, classes)
    matrix = confusion_matrix(prediction, label, classes)
    hits, predicted, true, total = matrix.diagonal(), matrix.sum(0), matrix.sum(1), matrix.sum()
    columns = (hits, predicted - hits, true - hits, total - predicted - true + hits)
    return tuple(Overlap(*row) for row in np.stack(columns, axis=1).tolist())


def check_grid(prediction: Mask, label: Mask) -> None:
    """Refuse masks that are not on one grid, or of which only one is multilabel.

    Raises:
        ShapeError: they differ.
    """
    if prediction.shape != label.shape or (prediction.dtype == np.bool_) != (label.dtype == np.bool_):
        raise ShapeError(
            f"measure: prediction {prediction.dtype} {prediction.shape} and label {label.dtype} {label.shape}; "
            "expected both on one grid and of one kind, class indices or one bool channel per class"
        )


def _count_channels(prediction: ndarray, label: ndarray, classes: int) -> tuple[Overlap, ...]:
    check_grid(prediction, label)
    if len(label) != classes:
        raise ShapeError(f"measure: expected {classes} channels, one per class, got {len(label)}")
    return tuple(_count_masks(p, t) for p, t in zip(prediction, label, strict=True))


def _count_masks(prediction: ndarray, label: ndarray) -> Overlap:
    hits, predicted, true = (int(np.count_nonzero(m)) for m in (prediction & label, prediction, label))
    return Overlap(hits, predicted - hits, true - hits, label.size - predicted - true + hits)


def _slabs(prediction: ndarray, label: ndarray) -> Iterator[tuple[ndarray, ndarray]]:
    step = max(1, _SLAB_VOXELS // max(1, label[0].size)) if len(label) else 1
    for start in range(0, len(label), step):
        yield np.asarray(prediction[start : start + step]), np.asarray(label[start : start + step])


def _check_range(indices: ndarray, classes: int, what: str) -> None:
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < classes:
        raise DataError(
            f"measure: expected class indices 0 to {classes - 1} in the {what}, got {indices.min()} to "
            f"{indices.max()}; encode file values with Labels.encode first"
        )
