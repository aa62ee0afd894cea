"""Every covering row, exported at one size and run at others.

The exports run in processes of their own, without the shape checks.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from tests.nets.covering import CHOICES, cover

ROOT = Path(__file__).parents[2]
PRESETS = ("unet-2015", "attention-3d", "nnunet-3d")
TOLERANCE = {"torch.export": 1e-5, "onnx": 5e-5}
# ONNX Runtime adds up the voxels of an instance norm one by one in float32: the more there are, the larger the error.
TOLERANCES = {"nnunet-3d": TOLERANCE | {"onnx": 3e-3}}


def run(names: list[str]) -> list[tuple[str, dict[str, float]]]:
    command = [sys.executable, "-m", "tests.nets.export_check", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines() if line.startswith('["')]


@pytest.mark.slow
def test_networks_exported_at_one_size_give_the_same_at_others() -> None:
    rows = cover(CHOICES)
    names = [*PRESETS, *map(str, range(len(rows)))]
    with ThreadPoolExecutor(2) as pool:
        results = dict(chain(*pool.map(run, [names[::2], names[1::2]])))
    assert results.keys() == set(names)
    wrong: dict[str, Any] = {
        name if name in PRESETS else str(rows[int(name)]): errors
        for name, errors in results.items()
        if any(errors[to] > limit for to, limit in TOLERANCES.get(name, TOLERANCE).items())
    }
    assert not wrong
