"""What one gets without any training: the score to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ushape.core.labels import Labels
from ushape.io.layouts import Pair, load_case
from ushape.measure.table import score_case
from ushape.report.contents import Baseline
from ushape.workflows.scoring import need_label


def threshold_baseline(pairs: Sequence[Pair], labels: Labels) -> Baseline:
    """Score Otsu's threshold on the images: what one gets without any training.

    Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    from skimage.filters import threshold_otsu

    dice = []
    for pair in pairs:
        case = load_case(pair, labels)
        gray = np.asarray(case.image).mean(axis=0)
        threshold = threshold_otsu(gray)  # type: ignore[no-untyped-call]  # it has no types
        guess = (gray > threshold).astype(np.int16)
        grid = case.geometry
        scores = score_case(guess, need_label(case), classes=2, spacing=grid.spacing, unit=grid.unit, name=case.name)
        dice.append(scores.foreground_dice)
    return Baseline("Otsu's threshold", float(np.mean(dice)))
