"""Rules of geometry: how cases are turned, cropped and resampled, and what grid the net then sees.

Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for target spacing and cropping. Differs: what would change
little is left alone, since each step costs time on every image that is ever predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ushape.plan.decision import Decision, show_spacing
from ushape.plan.fingerprint import Fingerprint

ANISOTROPIC = 3.0
"""An axis this many times coarser than the others, with this many times fewer voxels, sets its own spacing."""
SAME_SPACING = 0.05
"""Spacings that differ by at most this share are not worth a resampling."""
WORTH_CROPPING = 0.1
"""Median share of the voxels that a crop to content must leave out."""


@dataclass(frozen=True)
class Grid:
    """What the net will see of a median case.

    Attributes:
        size: in voxels per axis.
        spacing: per axis, in the data set's unit.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]


def choose_orientation(fingerprint: Fingerprint) -> Decision:
    """Turn volumes in mm until their axes run alike; pictures, and volumes in pixels, have no anatomy to go by."""
    if _is_volume(fingerprint):
        return Decision("canonical", "left is left, whatever the order of axes in a file; undone on the way out")
    return Decision("none", "no orientation is known of such images")


def choose_crop(fingerprint: Fingerprint, *, is_ct: bool) -> Decision:
    """Crop volumes to what is not 0 where that leaves out a tenth of them or more.

    In pictures black is a colour, and in CT 0 is water: neither is cropped.
    """
    removed = f"{fingerprint.content_removed:.0%} of a median image is an empty margin"
    if is_ct:
        return Decision("none", "0 is water in CT, not emptiness")
    if fingerprint.ndim == 2:
        return Decision("none", "black is a colour in pictures")
    if fingerprint.content_removed >= WORTH_CROPPING:
        return Decision("nonzero", f"{removed}, which comes back as background")
    return Decision("none", f"{removed}: not worth a crop")


def choose_spacing(fingerprint: Fingerprint) -> Decision:
    """Resample to `target_spacing` if the unit is mm and some case's spacing is another one."""
    target = target_spacing(fingerprint)
    if fingerprint.unit != "mm":
        return Decision("none", "the files do not say how large a pixel is")
    if _all_alike(fingerprint, target):
        return Decision("none", f"all images have {show_spacing(target, 'mm')}, give or take {SAME_SPACING:.0%}")
    low, high = (show_spacing(end, "mm") for end in (fingerprint.spacing_min, fingerprint.spacing_max))
    kind = "the median" if target == fingerprint.spacing else "the median; along the coarse axis the 10th percentile"
    return Decision(target, f"spacings go from {low} to {high}: {kind}")


def target_spacing(fingerprint: Fingerprint) -> tuple[float, ...]:
    """Return the median spacing; of one axis far coarser than all others the 10th percentile.

    Such an axis must also have that many times fewer voxels; its spacing stays above that of the others.
    """
    target = list(fingerprint.spacing)
    coarse = max(range(len(target)), key=lambda axis: target[axis])
    others = [axis for axis in range(len(target)) if axis != coarse]
    next_coarse = max(target[axis] for axis in others)
    fewest = min(fingerprint.median_size[axis] for axis in others)
    if target[coarse] > ANISOTROPIC * next_coarse and ANISOTROPIC * fingerprint.median_size[coarse] < fewest:
        target[coarse] = max(fingerprint.spacing_p10[coarse], next_coarse)
    return tuple(target)


def plan_grid(fingerprint: Fingerprint, crop: str, spacing: tuple[float, ...] | Literal["none"]) -> Grid:
    """Say what grid the median case has when it was cropped and resampled."""
    size = fingerprint.median_size if crop == "none" else fingerprint.content_size
    if spacing == "none":
        return Grid(size, fingerprint.spacing)
    axes = zip(size, fingerprint.spacing, spacing, strict=True)
    return Grid(tuple(max(round(voxels * old / new), 1) for voxels, old, new in axes), spacing)


def _is_volume(fingerprint: Fingerprint) -> bool:
    return fingerprint.ndim == 3 and fingerprint.unit == "mm"


def _all_alike(fingerprint: Fingerprint, target: tuple[float, ...]) -> bool:
    ends = zip(target, fingerprint.spacing_min, fingerprint.spacing_max, strict=True)
    return all(high - step <= SAME_SPACING * step and step - low <= SAME_SPACING * step for step, low, high in ends)
