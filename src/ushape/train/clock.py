"""The time that a training was given, and what it says when that is used up before the first step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from ushape.core.errors import ConfigError

MARGIN = 1.1
"""By which the time to give exceeds what was measured: the next start will not take the same to the second."""
MEASURING = 2.0
"""The time to give where not even a step was measured, over what was used up."""


@dataclass(frozen=True)
class Clock:
    """When the time began that a recipe's minutes count, in seconds of `time.perf_counter`.

    Attributes:
        runs: trainings that share what the user gave.
        before: seconds that were used up before it was shared.
    """

    started: float
    runs: int = 1
    before: float = 0.0


@dataclass(frozen=True)
class Budget:
    """The seconds of one training.

    Attributes:
        measured_from: when preparing ended and measuring began, on the clock.
    """

    seconds: float
    clock: Clock
    measured_from: float

    @property
    def left(self) -> float:
        """Seconds that are not used up; below 0 if more are."""
        return self.seconds - (time.perf_counter() - self.clock.started)

    def check(self) -> None:
        """Go on only while there is time.

        Raises:
            ConfigError: the budget is used up.
        """
        if self.left <= 0:
            used = time.perf_counter() - self.clock.started
            total = self._minutes(MEASURING * used)
            raise ConfigError(f"--minutes: used up before the first step; {self._spent()}; give at least {total}")

    def require(self, seconds: float, what: str) -> None:
        """Go on only if there is so much time.

        Args:
            what: the time is for.
        Raises:
            ConfigError: there is not.
        """
        if self.left < seconds:
            used = time.perf_counter() - self.clock.started
            raise ConfigError(
                f"--minutes: too short for {what}; {self._spent()}; give at least {self._minutes(used + seconds)}, "
                "or take smaller patches (--set patches.size=...)"
            )

    def _spent(self) -> str:
        preparing = self.clock.before + self.measured_from - self.clock.started
        measuring = time.perf_counter() - self.measured_from
        return f"preparing took {preparing:.0f} s and measuring this machine {measuring:.0f} s"

    def _minutes(self, seconds: float) -> str:
        total = MARGIN * (self.clock.before + self.clock.runs * seconds)
        return f"--minutes {math.ceil(total / 6) / 10:g}"
