"""Images larger than one likes to hold: peak memory, and seconds per megavoxel at several sizes.

- `picture`: square pictures as tiled TIFF files, from file to mask through `ushape`'s own streaming.
- `volume`: cubes of 20 classes from a memory map into a memory map, through a stub in place of a network: what is left
  is memory, and the cost of blending and deciding. The stub writes 0.01 for every class and 0.8 for one, no more.
- `network`: cubes through a small real 3D network.

Each size runs in a process of its own. Peak memory is anonymous memory (RssAnon) above what the process held before:
pages of mapped files, which the system takes back when it needs them, are given apart. Windows overlap, at a border of
the image less than inside it, and those across the blocks of a large volume run twice: `covered` says how often a voxel
was predicted, and the cost is also given per megavoxel of windows. CPU seconds are of all threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

if TYPE_CHECKING:
    from ushape.predict.torch_engine import TorchEngine

RESULTS = Path(__file__).parent / "results"
SIZES = {"picture": (5000, 10000, 20000), "volume": (256, 512, 1024), "network": (64, 128, 256)}
CLASSES = 20
WINDOWS = {"picture": (512, 512), "volume": (128, 128, 128), "network": (64, 64, 64)}
OVERLAP = 0.25


class Stub:
    """An engine that says a class by the brightness of a voxel, in one array that it fills anew for each window."""

    classes, margin, window = CLASSES, (), ()

    def __init__(self, size: tuple[int, ...]) -> None:
        self.out, self.places, self.seen = np.empty((CLASSES, *size), dtype=np.float32), np.arange(math.prod(size)), 0

    def __call__(self, windows: ndarray) -> ndarray:
        """Return 0.8 for the class that the brightness is."""
        self.seen += windows.size
        self.out.fill(0.01)
        self.out.reshape(-1)[windows.ravel().astype(np.int64) * self.places.size + self.places] = 0.8
        return self.out[None]


class Peak(threading.Thread):
    """Watches the memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done, self.before, self.most = threading.Event(), read_memory(), (0.0, 0.0)

    def run(self) -> None:
        """Keep the largest values until told to stop."""
        while not self.done.wait(0.02):
            now = read_memory()
            self.most = tuple(max(most, value) for most, value in zip(self.most, now, strict=True))  # type: ignore[assignment]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for kind, sizes in SIZES.items():
        parser.add_argument(f"--{kind}", type=int, nargs="*", default=sizes, help="edges of the images")
    parser.add_argument("--folder", type=Path, help="where the images are put: several gigabytes; not in memory")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, size = options.one
        print(json.dumps(TASKS[kind](int(size), options.folder)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for kind in SIZES:
            for size in getattr(options, kind):
                command = [sys.executable, __file__, "--one", kind, str(size), "--folder", folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append({"kind": kind, "edge": size, **json.loads(done.stdout)})
                print(rows[-1], flush=True)
    write(rows)


def predict_picture(size: int, folder: Path) -> dict[str, float]:
    """Stream a picture of noise from file to file, with a small network of random weights."""
    import tifffile

    from ushape.io import large
    from ushape.workflows.infer import OutputOptions, predict_files
    from ushape.workflows.model import load

    large.LARGE = 1  # small ones are to go the same way
    image = folder / "picture.tif"
    rng = np.random.default_rng(0)
    tiles = (rng.integers(0, 255, (512, 512), dtype=np.uint8) for _ in range((-(-size // 512)) ** 2))
    tifffile.imwrite(image, tiles, shape=(size, size), dtype=np.uint8, tile=(512, 512), photometric="minisblack")
    model = load(make_model(folder / "picture.safetensors", 2, (8, 16, 32)))
    seen = warm_up(model.engine, 2)
    found = watch(lambda: predict_files(model, image, folder / "masks", OutputOptions()), size**2, lambda: sum(seen))
    assert tifffile.TiffFile(folder / "masks" / "picture.tif").pages[0].shape == (size, size)
    return found


def predict_volume(size: int, folder: Path) -> dict[str, float]:
    """Stream a cube of 20 classes from one memory map into another."""
    from ushape.predict.predictor import PredictConfig, stream_label
    from ushape.predict.windows import WindowConfig

    image = np.memmap(folder / "volume.raw", np.uint8, "w+", shape=(1, size, size, size))
    for row in range(size):
        image[0, row] = np.random.default_rng(row).integers(0, CLASSES, (size, size), dtype=np.uint8)
    image.flush()
    label = np.memmap(folder / "label.raw", np.uint8, "w+", shape=image.shape[1:])
    config = PredictConfig(window=WindowConfig(size=WINDOWS["volume"], overlap=OVERLAP))
    stub = Stub(WINDOWS["volume"])
    stub(np.zeros((1, 1, *WINDOWS["volume"]), dtype=np.float32))
    stub.seen = 0

    def predict() -> None:
        for region, part in stream_label(image, stub, config):
            label[region] = part

    found = watch(predict, size**3, lambda: stub.seen)
    assert all((label[row] == image[0, row]).all() for row in range(0, size, 37))
    return found


def predict_cube(size: int, folder: Path) -> dict[str, float]:
    """Predict a cube in memory with a small real network."""
    from ushape.workflows.model import load

    model = load(make_model(folder / "network.safetensors", 3, (16, 32, 64)))
    seen = warm_up(model.engine, 3)
    cube = np.random.default_rng(0).normal(size=(1, size, size, size)).astype(np.float32)
    return watch(lambda: model.predict(cube, probabilities=False), size**3, lambda: sum(seen))


TASKS = {"picture": predict_picture, "volume": predict_volume, "network": predict_cube}


def make_model(path: Path, ndim: int, widths: tuple[int, ...]) -> Path:
    import torch

    from ushape.core.model_file import ModelHeader, write_model
    from ushape.nets.config import UNetConfig
    from ushape.nets.presets import build
    from ushape.plan.recipe import Recipe, to_toml
    from ushape.predict.predictor import PredictConfig
    from ushape.predict.windows import WindowConfig

    window = WINDOWS["picture" if ndim == 2 else "network"]
    recipe = Recipe(
        net=UNetConfig(ndim=ndim, widths=widths),
        patches={"size": window},
        predict=PredictConfig(window=WindowConfig(size=window, overlap=OVERLAP)),
    )
    torch.manual_seed(0)
    write_model(path, build(recipe.net).state_dict(), ModelHeader(to_toml(recipe, {})))
    return path


def warm_up(engine: TorchEngine, ndim: int) -> list[int]:
    """Run one window, so that a runtime's own buffers count as held before; return where later windows' sizes go."""
    engine(np.zeros((1, 1, *WINDOWS["picture" if ndim == 2 else "network"]), dtype=np.float32))
    seen: list[int] = []
    engine.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numel()))
    return seen


def watch(work: Callable[[], object], voxels: int, count: Callable[[], int]) -> dict[str, float]:
    """Time some work, and watch its memory; `count` says afterwards how many voxels its windows had."""
    peak = Peak()
    peak.start()
    started, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak.done.set()
    anonymous, mapped = (most - before for most, before in zip(peak.most, peak.before, strict=True))
    return {
        "megavoxels": voxels / 1e6,
        "covered": count() / voxels,
        "seconds": seconds,
        "seconds_per_megavoxel": seconds / voxels * 1e6,
        "cpu_seconds_per_megavoxel": cpu / voxels * 1e6,
        "cpu_seconds_per_window_megavoxel": cpu / count() * 1e6,
        "megabytes": max(anonymous, 0),
        "mapped_megabytes": max(mapped, 0),
    }


def read_memory() -> tuple[float, float]:
    """Return the megabytes of this process that are its own, and those that are pages of files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))  # type: ignore[return-value]


def write(rows: list[dict]) -> None:
    costs = ("seconds per megavoxel", "CPU seconds per megavoxel", "CPU seconds per megavoxel of windows")
    lines = [
        f"`python benchmarks/large_images.py`; {os.cpu_count()} CPU cores",
        "",
        f"| what | edge | megavoxels | covered | seconds | {' | '.join(costs)} | peak MB | pages of files, MB |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        cells = [row["kind"], row["edge"], f"{row['megavoxels']:.1f}", f"{row['covered']:.2f}", f"{row['seconds']:.0f}"]
        keys = ("seconds_per_megavoxel", "cpu_seconds_per_megavoxel", "cpu_seconds_per_window_megavoxel")
        cells += [f"{row[key]:.3f}" for key in keys]
        cells += [f"{row['megabytes']:.0f}", f"{row['mapped_megabytes']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "large_images.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "large_images.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
