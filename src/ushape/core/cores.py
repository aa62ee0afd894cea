"""How much of the machine this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Count the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_threads() -> int:
    """Count the threads to compute with: a core each, or fewer where OMP_NUM_THREADS says so, as torch does."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), usable_cores()) if asked.isdecimal() and int(asked) else usable_cores()
