"""Measures of objects: each has its own number in the mask, and it counts whether it was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from ushape.core.errors import ConfigError, ShapeError
from ushape.measure.overlap import Empty, find_empty

DSB_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class InstanceScores:
    """How the objects of one case were found.

    If neither mask has an object, all scores are 1, which means leave out; if one has none, they are 0.

    Attributes:
        predicted: number of predicted objects.
        true: number of true objects.
        thresholds: the IoUs above which a predicted object counts as found.
        precisions: TP / (TP + FP + FN) at each threshold.
        aji: aggregated Jaccard index.
    """

    predicted: int
    true: int
    thresholds: tuple[float, ...]
    precisions: tuple[float, ...]
    aji: float

    @property
    def empty(self) -> Empty:
        """Which of the masks has no object."""
        return find_empty(self.predicted, self.true)

    @property
    def mean_ap(self) -> float:
        """The mean over the thresholds: the score of the 2018 Data Science Bowl for one image."""
        return sum(self.precisions) / len(self.precisions)

    def measures(self) -> dict[str, float]:
        """Return the scores by column name: `ap_50` is the one at IoU 0.5."""
        at = {f"ap_{round(100 * t)}": p for t, p in zip(self.thresholds, self.precisions, strict=True)}
        return {"aji": self.aji, "mean_ap": self.mean_ap, **at}


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a true and a predicted object that touch, as parallel arrays.

    Attributes:
        label: position of the true object in `label_areas`.
        prediction: position of the predicted object in `prediction_areas`.
        shared: voxels in both.
    """

    label: Integer[ndarray, " pairs"]
    prediction: Integer[ndarray, " pairs"]
    shared: Integer[ndarray, " pairs"]
    label_areas: Integer[ndarray, " n"]
    prediction_areas: Integer[ndarray, " m"]

    @property
    def union(self) -> Integer[ndarray, " pairs"]:
        """Voxels in either."""
        return self.label_areas[self.label] + self.prediction_areas[self.prediction] - self.shared

    @property
    def iou(self) -> Float[ndarray, " pairs"]:
        """Intersection over union."""
        return self.shared / self.union


def score_instances(
    prediction: Integer[ndarray, "*space"],
    label: Integer[ndarray, "..."],
    *,
    thresholds: Sequence[float] = DSB_THRESHOLDS,
) -> InstanceScores:
    """Score two maps of object numbers; 0 is background, negative label voxels are left out of both.

    Above an IoU of 0.5 an object can match only one other, so no assignment is needed. A match needs more than the
    threshold, not just as much.

    Raises:
        ShapeError: the two are not on one grid.
        ConfigError: a threshold is below 0.5 or not below 1.
    Source: average precision as in Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7; AJI as `aggregated_jaccard`.

    >>> import numpy as np
    >>> scores = score_instances(np.array([1, 1, 1, 0, 0, 2]), np.array([7, 7, 7, 7, 0, 0]))
    >>> scores.measures()["ap_70"], scores.measures()["ap_75"]
    (0.5, 0.0)
    """
    if prediction.shape != label.shape:
        raise ShapeError(f"instances: prediction has shape {prediction.shape}, label {label.shape}; use one grid")
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ConfigError(f"instances: expected IoU thresholds from 0.5 to below 1, got {tuple(thresholds)}")
    pairs = pair_objects(prediction, label)
    found = [int((pairs.iou > threshold).sum()) for threshold in thresholds]
    true, predicted = len(pairs.label_areas), len(pairs.prediction_areas)
    precisions = tuple(_share(hits, true + predicted - hits) for hits in found)
    return InstanceScores(predicted, true, tuple(thresholds), precisions, aggregated_jaccard(pairs))


def pair_objects(prediction: Integer[ndarray, "*space"], label: Integer[ndarray, "*space"]) -> Pairs:
    """Find which objects touch, and how large each is, without a table of all against all.

    >>> import numpy as np
    >>> pair_objects(np.array([5, 5, 6]), np.array([9, 9, 9])).iou.round(2).tolist()
    [0.67, 0.33]
    """
    known = label >= 0
    predicted, true = prediction[known], label[known]
    prediction_ids, prediction_areas = np.unique(predicted[predicted > 0], return_counts=True)
    label_ids, label_areas = np.unique(true[true > 0], return_counts=True)
    touch = (predicted > 0) & (true > 0)
    rows, columns = np.searchsorted(label_ids, true[touch]), np.searchsorted(prediction_ids, predicted[touch])
    codes, shared = np.unique(rows * max(len(prediction_ids), 1) + columns, return_counts=True)
    rows, columns = np.divmod(codes, max(len(prediction_ids), 1))
    return Pairs(rows, columns, shared, label_areas, prediction_areas)


def aggregated_jaccard(pairs: Pairs) -> float:
    """Sum the intersections of each true object with its best match, over the sum of their unions.

    True objects without a match and predicted objects that are nobody's best match add their area below. As in the
    original, one predicted object may be the best match of several.

    Source: Kumar et al. 2017, doi:10.1109/TMI.2017.2677499, algorithm 1.

    >>> import numpy as np
    >>> aggregated_jaccard(pair_objects(np.array([1, 1, 0, 2]), np.array([1, 1, 1, 0])))  # 2 / (3 + 1)
    0.5
    """
    order = np.lexsort((pairs.iou, pairs.label))
    is_best = np.diff(pairs.label[order], append=-1) != 0
    best = order[is_best]
    missed = np.delete(pairs.label_areas, pairs.label[best]).sum()
    unused = np.delete(pairs.prediction_areas, pairs.prediction[best]).sum()
    return _share(int(pairs.shared[best].sum()), int(pairs.union[best].sum() + missed + unused))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
