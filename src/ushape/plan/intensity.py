"""Rules of intensity: what is done to values so that images can be compared.

Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z. Differs: CT is also recognised by its values.
"""

from __future__ import annotations

from ushape.plan.decision import Decision
from ushape.plan.fingerprint import Fingerprint
from ushape.prep.intensity import DatasetStats, ZScore

CT_NAMES = ("ct", "cbct", "computed tomography")
AIR_HU = -500.0
"""Most CT images reach below this: lung and the air around a patient are near -1000 HU."""
LOWEST_HU, HIGHEST_HU = -5000.0, 32767.0
"""No scanner writes values outside: paddings such as -3024 and metal lie within."""
EMPTY = 0.25
"""Median share of empty margin beyond which brightness is measured inside the content only."""


def find_ct(fingerprint: Fingerprint) -> Decision:
    """Tell whether the values are Hounsfield units.

    The names of the channels decide where the data set gives them (`modality` or `channel_names` of a dataset.json):
    all must be CT. Else a data set is CT if it is of volumes of one channel in mm, of whole numbers, and most of its
    images reach down to air while none leaves the scale.
    """
    names = fingerprint.channel_names
    if names:
        is_ct = all(name.strip().lower() in CT_NAMES for name in names)
        return Decision(is_ct, f"the data set calls its channels {', '.join(names)}")
    low, high = fingerprint.value_range
    on_scale = low >= LOWEST_HU and high <= HIGHEST_HU and fingerprint.median_low <= AIR_HU
    is_volume = (fingerprint.ndim, fingerprint.unit, fingerprint.channels) == (3, "mm", 1)
    return Decision(is_volume and fingerprint.is_whole and on_scale, f"whole numbers from {low:g} to {high:g}")


def choose_intensity(fingerprint: Fingerprint) -> Decision:
    """Standardise CT by the foreground of the whole data set, all else image by image.

    Images that are mostly empty margin are measured inside their content only.
    """
    ct, facts = find_ct(fingerprint), fingerprint.foreground
    if ct.value and facts and all(one.std > 0 for one in facts):
        rows = [(one.low, one.high, one.mean, one.std) for one in facts]
        low, high, mean, std = zip(*rows, strict=True)
        step = DatasetStats(low=low, high=high, mean=mean, std=std)
        return Decision((step,), f"CT ({ct.reason}): the foreground's 0.5th to 99.5th percentile, mean and deviation")
    if fingerprint.ndim == 3 and fingerprint.content_removed > EMPTY:
        inside = f"inside the content, as {fingerprint.content_removed:.0%} of an image are empty margin"
        return Decision((ZScore(within="nonzero"),), f"each image to mean 0 and deviation 1 {inside}")
    return Decision((ZScore(),), "brightness differs between images: each channel to mean 0 and standard deviation 1")
