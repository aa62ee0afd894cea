"""Fingerprints of data sets that nobody has: usual ones and extreme ones."""

from typing import Any

from ushape.core.labels import Labels
from ushape.plan.fingerprint import Fingerprint, Intensity


def fingerprint(size: tuple[int, ...], **facts: Any) -> Fingerprint:
    """A data set of alike images of 8 bits in pixels; whatever else it is, is named."""
    spacing = facts.get("spacing", (1.0,) * len(size))
    usual: dict[str, Any] = {
        "cases": 30,
        "channels": 1,
        "dtype": "uint8",
        "is_whole": True,
        "min_size": tuple(max(length // 2, 1) for length in size),
        "median_size": size,
        "max_size": tuple(2 * length for length in size),
        "spacing": spacing,
        "spacing_p10": spacing,
        "spacing_min": spacing,
        "spacing_max": spacing,
        "unit": "px",
        "content_size": size,
        "content_removed": 0.0,
        "value_range": (0.0, 255.0),
        "median_low": 0.0,
        "foreground": (Intensity(low=20.0, high=220.0, mean=120.0, std=40.0),),
        "class_shares": (0.8, 0.2),
        "class_order": (0.5,) * len(size),
    }
    return Fingerprint(**usual | facts)


def ct(size: tuple[int, ...], **facts: Any) -> Fingerprint:
    """A data set as CT is: volumes in mm, whole numbers down to air."""
    body = Intensity(low=-80.0, high=240.0, mean=95.0, std=45.0)
    usual = {"unit": "mm", "dtype": "int16", "value_range": (-1024.0, 3071.0), "median_low": -1024.0}
    return fingerprint(size, **{**usual, "foreground": (body,), **facts})


def classes(count: int) -> Labels:
    return Labels(names=tuple(f"class_{i}" for i in range(count)), values=tuple(range(count)))


THICK = (5.0, 0.5, 0.5)
EXTREMES: dict[str, tuple[Fingerprint, Labels]] = {
    "two_cases": (fingerprint((300, 400), cases=2), classes(2)),
    "one_huge_picture": (fingerprint((20000, 30000), cases=1), classes(2)),
    "one_huge_slice": (ct((1, 4000, 4000), cases=1, spacing=(5.0, 0.1, 0.1)), classes(2)),
    "thick_slices": (ct((30, 512, 512), spacing=THICK, spacing_p10=THICK), classes(2)),
    "mixed_thick_slices": (
        ct(
            (40, 512, 512),
            spacing=(5.0, 0.8, 0.8),
            spacing_p10=(2.5, 0.7, 0.7),
            spacing_min=(1.25, 0.6, 0.6),
            spacing_max=(5.0, 0.98, 0.98),
            class_shares=(0.8, 0.15, 0.05),
        ),
        classes(3),
    ),
    "four_channels_in_an_empty_margin": (
        fingerprint(
            (155, 240, 240),
            cases=400,
            channels=4,
            channel_names=("FLAIR", "T1w", "t1gd", "T2w"),
            unit="mm",
            content_size=(138, 170, 138),
            content_removed=0.64,
            class_shares=(0.97, 0.01, 0.01, 0.01),
            foreground=(Intensity(low=0.0, high=900.0, mean=400.0, std=150.0),) * 4,
        ),
        classes(4),
    ),
    "twelve_classes": (
        ct((100, 512, 512), spacing=(3.0, 0.8, 0.8), class_shares=(0.89, *(0.01,) * 11)),
        classes(12),
    ),
    "a_thousandth_foreground": (
        fingerprint((160, 200, 200), unit="mm", is_whole=False, class_shares=(0.999, 0.001)),
        classes(2),
    ),
}
