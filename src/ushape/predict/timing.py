"""How long engines take for windows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ushape.predict.engines import Engine


@dataclass(frozen=True)
class Ranking:
    """What was measured.

    Attributes:
        milliseconds: for one window, by engine.
        missing: engines that cannot run the model here, and why.
    """

    milliseconds: Mapping[str, float]
    missing: Mapping[str, str]
    remembered: bool = False

    @property
    def best(self) -> str:
        """The fastest engine."""
        return min(self.milliseconds, key=lambda name: self.milliseconds[name])

    def tell(self) -> str:
        """Say what was chosen, and why."""
        times = ", ".join(f"{name} {each:.3g} ms" for name, each in self.milliseconds.items())
        reasons = "".join(f"; not {name}: {reason}" for name, reason in self.missing.items())
        return f"engine {self.best} ({times} a window{', measured earlier' if self.remembered else ''}{reasons})"


def time_engine(engine: Engine, shape: tuple[int, ...], seconds: float = 0.3) -> list[float]:
    """Return the seconds of some passes over windows of noise, after one that is not counted.

    Args:
        shape: (b, channels, *window).
        seconds: how long to try; there are two passes at least.
    """
    windows = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    engine(windows)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 2:
        started = time.perf_counter()
        engine(windows)
        times.append(time.perf_counter() - started)
    return times


def usual_milliseconds(engine: Engine, shape: tuple[int, ...]) -> float:
    """Return the median time of some passes over windows of noise, in milliseconds.

    Args:
        shape: (b, channels, *window).
    """
    return round(statistics.median(time_engine(engine, shape)) * 1000, 2)
