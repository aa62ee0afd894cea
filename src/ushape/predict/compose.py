"""Engines made of engines: the mean over mirrored inputs, and the mean over several networks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.predict.engines import Engine


class Mirrored:
    """Average an engine over all flips of the given spatial axes: test-time augmentation, 2**len(axes) passes."""

    def __init__(self, engine: Engine, axes: Sequence[int]) -> None:
        self.engine = engine
        self.margin, self.classes, self.window = engine.margin, engine.classes, engine.window
        self.axes = tuple(axes)

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return the mean probabilities; the order of the passes does not matter."""
        flips = [f for n in range(len(self.axes) + 1) for f in itertools.combinations(self.axes, n)]
        return _mean(np.flip(self.engine(_flip(windows, flip)), _shifted(flip)) for flip in flips)


class Ensemble:
    """Average the probabilities of several networks that share classes, margin and window."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = tuple(engines)
        first = self.engines[0]
        self.margin, self.classes, self.window = first.margin, first.classes, first.window

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return the mean probabilities."""
        return _mean(engine(windows) for engine in self.engines)


class WithEntropy:
    """Add a last channel to the probabilities of an engine: their entropy.

    Every mean of probabilities, over mirrors, members and windows, then carries the mean entropy along.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.margin, self.classes, self.window = engine.margin, engine.classes + 1, engine.window

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return the probabilities, and entropy in [0, 1] behind them."""
        probabilities = self.engine(windows)
        return np.concatenate([probabilities, normal_entropy(probabilities, axis=1)[:, None]], axis=1)


def carry_entropy(engine: Engine) -> Engine:
    """Rebuild an engine so that each network in it adds its entropy: see `WithEntropy`."""
    if isinstance(engine, Mirrored):
        return Mirrored(carry_entropy(engine.engine), engine.axes)
    if isinstance(engine, Ensemble):
        return Ensemble([carry_entropy(member) for member in engine.engines])
    return WithEntropy(engine)


def is_averaged(engine: Engine) -> bool:
    """Tell whether an engine is a mean over mirror images or over several networks, which may disagree."""
    return len(engine.engines) > 1 if isinstance(engine, Ensemble) else isinstance(engine, Mirrored)


def normal_entropy(probabilities: Float[ndarray, "*any"], axis: int) -> Float[ndarray, "*rest"]:
    """Return the entropy over one axis, divided by its largest value: 0 where one class is certain, 1 where all tie.

    >>> normal_entropy(np.array([[0.5, 1.0], [0.5, 0.0]]), axis=0).tolist()
    [1.0, 0.0]
    """
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return (0 - (probabilities * logs).sum(axis=axis)) / np.log(probabilities.shape[axis])


class OnceIfConstant:
    """Run an engine once for windows in which every channel is constant, until other constants come.

    The same windows always give the same probabilities, so nothing else changes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.margin, self.classes, self.window = engine.margin, engine.classes, engine.window
        self._known: tuple[tuple[tuple[int, ...], bytes], ndarray] | None = None

    def __call__(self, windows: Float[ndarray, "b channels *window"]) -> Float[ndarray, "b classes *inner"]:
        """Return what the engine does."""
        flat = windows.reshape(*windows.shape[:2], -1)
        is_constant = (flat == flat[:, :, :1]).all(axis=(1, 2))
        if not is_constant.any():
            return self.engine(windows)
        varying = iter(() if is_constant.all() else self.engine(windows[~is_constant]))
        pairs = zip(windows, is_constant, strict=True)
        return np.stack([self._recall(window) if constant else next(varying) for window, constant in pairs])

    def _recall(self, window: Float[ndarray, "channels *window"]) -> Float[ndarray, "classes *inner"]:
        values = window.reshape(len(window), -1)[:, 0].tobytes()
        if self._known is None or self._known[0] != (window.shape, values):
            self._known = (window.shape, values), self.engine(window[None])[0].copy()
        return self._known[1]


def _mean(parts: Iterator[ndarray]) -> ndarray:
    total, count = next(parts).copy(), 1
    for part in parts:
        total += part
        count += 1
    return total / np.float32(count)


def _shifted(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis + 2 for axis in axes)


def _flip(windows: ndarray, axes: Sequence[int]) -> ndarray:
    return np.flip(windows, _shifted(axes))
