"""Time, peak memory and error of resampling a CT-sized volume to 1 mm, beside SciPy and SimpleITK, one thread each.

The volume samples a product of three sines, so that the right value at every new voxel is known. Each method runs in a
process of its own. Needs SimpleITK: pip install -c constraints.txt SimpleITK
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy import ndarray

from ushape.core.case import Case, Geometry
from ushape.core.errors import require
from ushape.prep.resample import Resample, ResampleConfig

RESULTS = Path(__file__).parent / "results"
SIZE, SPACING_MM = (200, 512, 512), (3.0, 0.8, 0.8)
NEW_SIZE, NEW_SPACING_MM = (600, 410, 410), (1.0, 1.0, 1.0)
WAVELENGTHS_MM, AMPLITUDE = (30.0, 10.0, 12.0), 10_000
MARGIN = 12  # voxels at each end left out of the error: methods differ in what they assume beyond the ends
RUNS = 3
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Places = list[ndarray]
Method = Callable[[ndarray], tuple[ndarray, Places]]


def main() -> None:
    if len(sys.argv) == 2:
        print(json.dumps(measure(METHODS[sys.argv[1]])))
        return
    load = os.getloadavg()[0]
    rows = {name: run(name) for name in METHODS}
    lines = [f"`python benchmarks/resampling.py`: {SIZE} at {SPACING_MM} mm, int16, to {NEW_SIZE} at 1 mm, float32."]
    lines += [f"One thread, median of {RUNS}. Errors in % of the amplitude of waves of {WAVELENGTHS_MM} mm."]
    lines += [f"{os.cpu_count()} cores, load average {load:.1f} when it began: above 0, other work ran beside it.", ""]
    lines += ["| method | s | CPU s | ratio of CPU s | peak above the input, MiB | error, RMS | error, largest |"]
    lines += ["|---|---|---|---|---|---|---|"]
    base = rows["ushape, as by default"]["cpu_seconds"]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['seconds']:.2f} | {row['cpu_seconds']:.2f} | {row['cpu_seconds'] / base:.1f} "
            f"| {row['peak_mib']:.0f} | {row['rms_percent']:.3f} | {row['max_percent']:.3f} |"
        )
    lines += ["", f"The output alone takes {math.prod(NEW_SIZE) * 4 / 2**20:.0f} MiB, the input {input_mib():.0f} MiB."]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "resampling.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "resampling.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(lines))


def run(name: str) -> dict[str, float]:
    command = [sys.executable, __file__, name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def measure(method: Method) -> dict[str, float]:
    volume = field([centred(*axis) for axis in zip(SIZE, SPACING_MM, strict=True)]).astype(np.int16)
    method(volume[:8, :32, :32])  # imports are not counted
    before, seconds, cpu_seconds = resident_mib(), [], []
    for _ in range(RUNS):
        out, places = None, []  # what the last run made is let go first
        wall, cpu = time.perf_counter(), time.process_time()
        out, places = method(volume)
        seconds.append(time.perf_counter() - wall)
        cpu_seconds.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rms, largest = errors(out, places)
    return {
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(cpu_seconds),
        "peak_mib": peak - before,
        "rms_percent": rms,
        "max_percent": largest,
    }


def with_ushape(**changes: str) -> Method:
    def resample(volume: ndarray) -> tuple[ndarray, Places]:
        origin = tuple(centred(*axis)[0] for axis in zip(volume.shape, SPACING_MM, strict=True))
        case = Case("volume", volume[None], Geometry(SPACING_MM, "mm", origin, tuple(map(tuple, np.eye(3)))))
        config = ResampleConfig.model_validate({"spacing": NEW_SPACING_MM, **changes})
        out, _ = Resample(config).forward(case)
        grid = zip(out.geometry.origin, out.geometry.spacing, out.space, strict=True)
        return np.asarray(out.image)[0], [start + np.arange(size) * step for start, step, size in grid]

    return resample


def with_scipy(volume: ndarray) -> tuple[ndarray, Places]:
    from scipy.ndimage import zoom

    sizes = NEW_SIZE if volume.shape == SIZE else tuple(2 * size for size in volume.shape)
    out = zoom(volume, [new / old for new, old in zip(sizes, volume.shape, strict=True)], order=3, output=np.float32)
    ends = [centred(*axis)[[0, -1]] for axis in zip(volume.shape, SPACING_MM, strict=True)]
    return out, [np.linspace(*end, size) for end, size in zip(ends, sizes, strict=True)]


def with_simpleitk(interpolator: str) -> Method:
    def resample(volume: ndarray) -> tuple[ndarray, Places]:
        itk = require("SimpleITK", "medical", "comparing with SimpleITK")
        itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        image = itk.GetImageFromArray(volume)
        image.SetSpacing(SPACING_MM[::-1])
        image.SetOrigin([centred(*axis)[0] for axis in zip(volume.shape, SPACING_MM, strict=True)][::-1])
        places = [centred(*axis) for axis in zip(NEW_SIZE, NEW_SPACING_MM, strict=True)]
        resampler = itk.ResampleImageFilter()
        resampler.SetSize(NEW_SIZE[::-1])
        resampler.SetOutputSpacing(NEW_SPACING_MM[::-1])
        resampler.SetOutputOrigin([float(place[0]) for place in places][::-1])
        resampler.SetOutputPixelType(itk.sitkFloat32)
        resampler.SetInterpolator(getattr(itk, interpolator))
        return itk.GetArrayFromImage(resampler.Execute(image)), places

    return resample


METHODS: dict[str, Method] = {
    "ushape, as by default": with_ushape(),
    "ushape, coarse = same": with_ushape(coarse="same"),
    "ushape, kernel = spline, coarse = same": with_ushape(kernel="spline", coarse="same"),
    "scipy.ndimage.zoom, order 3": with_scipy,
    "SimpleITK, sitkBSpline": with_simpleitk("sitkBSpline"),
    "SimpleITK, sitkLinear": with_simpleitk("sitkLinear"),
}


def centred(size: int, spacing: float) -> ndarray:
    """Return the places of a grid's voxels in mm; every grid has its centre at 0."""
    return (np.arange(size) - (size - 1) / 2) * spacing


def field(places: Places) -> ndarray:
    waves = [np.sin(2 * np.pi * place / length + 0.5) for place, length in zip(places, WAVELENGTHS_MM, strict=True)]
    plane = (waves[1][:, None] * waves[2]).astype(np.float32)
    return (AMPLITUDE * waves[0].astype(np.float32))[:, None, None] * plane


def errors(out: ndarray, places: Places) -> tuple[float, float]:
    """Return the root mean square and the largest error away from the ends, in percent of the amplitude."""
    inner = slice(MARGIN, -MARGIN)
    total, count, largest = 0.0, 0, 0.0
    for row in range(MARGIN, len(out) - MARGIN):
        miss = out[row, inner, inner] - field([places[0][row : row + 1], places[1][inner], places[2][inner]])[0]
        total, count = total + float((miss.astype(np.float64) ** 2).sum()), count + miss.size
        largest = max(largest, float(np.abs(miss).max()))
    return 100 * math.sqrt(total / count) / AMPLITUDE, 100 * largest / AMPLITUDE


def input_mib() -> float:
    return math.prod(SIZE) * 2 / 2**20


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
