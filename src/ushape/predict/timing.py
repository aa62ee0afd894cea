"""How long an engine takes for windows."""

from __future__ import annotations

import time

import numpy as np

from ushape.predict.engines import Engine


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
