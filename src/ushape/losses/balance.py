"""Class frequencies -> class weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from ushape.core.config import choose
from ushape.core.errors import ConfigError

Balance = Literal["inverse", "inverse_sqrt", "log"]
_RULES: dict[str, Callable[[float], float]] = {
    "inverse": lambda share: 1 / share,
    "inverse_sqrt": lambda share: share**-0.5,
    "log": lambda share: 1 / math.log(1.02 + share),
}


def weigh_classes(frequencies: Sequence[float | int], rule: Balance = "inverse_sqrt") -> tuple[float, ...]:
    """Turn how often each class occurs into loss weights whose mean is 1; rare classes weigh more.

    A class that never occurs gets the weight of the rarest one that does.

    Args:
        frequencies: voxel counts or shares, one per class.
        rule: 1 / share, its square root, or 1 / ln(1.02 + share).
    Raises:
        ConfigError: a frequency is negative, or all are 0.
    Source: "log" is Paszke et al. 2016, arXiv:1606.02147.

    >>> [round(weight, 3) for weight in weigh_classes([900, 100])]
    [0.5, 1.5]
    """
    total = sum(frequencies)
    if min(frequencies, default=0) < 0 or total <= 0:
        raise ConfigError(f"class frequencies: expected counts with a sum above 0, got {list(frequencies)}")
    weigh = choose(rule, _RULES, "rule")
    rarest = min(f for f in frequencies if f > 0)
    raw = [weigh((f or rarest) / total) for f in frequencies]
    mean = sum(raw) / len(raw)
    return tuple(value / mean for value in raw)
