"""What each column means, in a sentence that goes into every output."""

from __future__ import annotations

from collections.abc import Iterable

from ushape.core.config import unknown
from ushape.core.errors import ConfigError

_ABSENT = "1 if neither mask has the class (left out of means), 0 if only one of them has it"
_DISTANCE = (
    "surface = mask minus its erosion along the axes; inf if one mask is empty (left out of means), nothing if both are"
)
_NO_OBJECT = "1 if neither mask has an object (left out of means), 0 if only one of them has one"
DEFINITIONS: dict[str, str] = {
    "dice": f"2 TP / (2 TP + FP + FN), no smoothing, per case and class; {_ABSENT}",
    "iou": f"TP / (TP + FP + FN), per case and class; {_ABSENT}",
    "precision": f"TP / (TP + FP), per case and class; {_ABSENT}",
    "recall": f"TP / (TP + FN), per case and class; {_ABSENT}",
    "specificity": "TN / (TN + FP), per case and class; 1 if no voxel is outside the label",
    "voxels": "predicted voxels of the class, those the label ignores left out",
    "label_voxels": "true voxels of the class",
    "volume": "predicted volume",
    "area": "predicted area",
    "label_volume": "true volume",
    "label_area": "true area",
    "empty": "which mask lacks the class: none, prediction, label or both",
    "hd": f"Hausdorff distance, the largest distance from either surface to the other; {_DISTANCE}",
    "hd95": f"the larger of the two directed 95th percentiles of the surface distances; {_DISTANCE}",
    "assd": f"mean of the surface distances of both surfaces pooled; {_DISTANCE}",
    "nsd": "share of both surfaces, in voxels, within the named tolerance of the other; 0 if one mask is empty",
    "boundary_f1": (
        "harmonic mean of the shares of either surface within the named tolerance of the other "
        "(pct: of the image's diagonal); 0 if one mask is empty"
    ),
    "foreground_dice": "mean Dice of the foreground classes that prediction or label has",
    "mean_iou": "mean IoU of the classes that prediction or label has, the background included",
    "pixel_accuracy": "share of the voxels with the right class",
    "aji": "aggregated Jaccard index: best match of each true object, missed and spurious objects added below; "
    + _NO_OBJECT,
    "ap": f"TP / (TP + FP + FN) of the objects, a match being an IoU above the named percentage; {_NO_OBJECT}",
    "mean_ap": f"mean of ap over IoU 0.5, 0.55 and on to 0.95, as in the 2018 Data Science Bowl; {_NO_OBJECT}",
}
RULES: dict[str, str] = {
    "mean": "over the cases, each counted once, whatever its size; voxels of different cases are never pooled",
    "interval": "95 % bootstrap percentile interval of the mean: 2000 samples of the cases; none below five cases",
    "p_value": "Wilcoxon signed-rank test over the cases, two-sided, cases without a difference dropped, not corrected "
    "for the number of comparisons",
}
"""How single numbers become summaries."""
DISTANCES = ("hd", "hd95", "assd")
"""The measures that are infinite where exactly one mask is empty."""
_HIGHER = ("dice", "iou", "precision", "recall", "specificity", "nsd", "boundary_f1", "foreground_dice", "mean_iou")
_SIGNS = {
    **dict.fromkeys((*_HIGHER, "pixel_accuracy", "aji", "ap", "mean_ap"), 1),
    **dict.fromkeys(DISTANCES, -1),
}


def define(column: str) -> str:
    """Say what a column means; its unit or tolerance stands in its name, after the measure's.

    Raises:
        ConfigError: as `base_measure`.

    >>> define("label_volume_ml"), define("specificity")
    ('true volume', 'TN / (TN + FP), per case and class; 1 if no voxel is outside the label')
    """
    return DEFINITIONS[base_measure(column)]


def better_sign(column: str) -> int:
    """Say which values of a column are better: 1 for larger ones, -1 for smaller ones, 0 if neither is.

    Raises:
        ConfigError: as `base_measure`.

    >>> better_sign("dice"), better_sign("hd95_mm"), better_sign("volume_ml")
    (1, -1, 0)
    """
    return _SIGNS.get(base_measure(column), 0)


def define_all(columns: Iterable[str]) -> dict[str, str]:
    """Return the definition of each column, in their order.

    Raises:
        ConfigError: as `base_measure`.
    """
    return {column: define(column) for column in columns}


def base_measure(column: str) -> str:
    """Return a column's name without its unit and tolerance.

    Raises:
        ConfigError: there is no such measure.

    >>> base_measure("nsd_2px"), base_measure("label_volume_ml"), base_measure("ap_75")
    ('nsd', 'label_volume', 'ap')
    """
    words = column.split("_")
    for end in range(len(words), 0, -1):
        if "_".join(words[:end]) in DEFINITIONS:
            return "_".join(words[:end])
    raise ConfigError(unknown("measure", column, DEFINITIONS))
