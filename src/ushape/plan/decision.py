"""What every rule returns: a value and why it was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """A value and why it was chosen."""

    value: Any
    reason: str


def show_spacing(spacing: tuple[float, ...], unit: str) -> str:
    """Write a spacing in axis order.

    >>> show_spacing((3.0, 0.8, 0.8), "mm")
    '3x0.8x0.8 mm'
    """
    return f"{'x'.join(f'{step:.4g}' for step in spacing)} {unit}"
