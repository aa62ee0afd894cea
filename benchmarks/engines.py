"""One model in every engine: latency, throughput, memory, file size and Dice; and a folder of images, files to files.

Each row is measured in a process of its own, round after round: memory is its own, and other work strikes all alike.
A model is a file, or preset:NAME:SIZE for random weights on windows of that size,
with the recipe of the case before it; then there is no Dice.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROWS = {
    "torch, eager float32": ("torch", "float32"),
    "torch, compiled float32": ("torch", "compiled"),
    "torch, bf16": ("torch", "bf16"),
    "ONNX Runtime, fp32": ("onnx", "fp32"),
    "ONNX Runtime, INT8": ("onnx", "int8"),
    "OpenVINO, fp32": ("openvino", "fp32"),
    "OpenVINO, bf16": ("openvino", "bf16"),
    "OpenVINO, INT8": ("openvino", "int8"),
}
BATCHES = (1, 8)
FEWEST = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, action="append", required=True, metavar=("NAME", "MODEL", "DATA"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="per row, batch and round")
    parser.add_argument("--max-drop", type=float, default=0.3)
    parser.add_argument("--images", type=int, default=50, help="of the files-to-files comparison")
    parser.add_argument("--write", type=Path, default=RESULTS)
    options = parser.parse_args()
    record = {}
    with tempfile.TemporaryDirectory() as folder:
        before = None
        for name, model, data in options.case:
            place = Path(folder) / name.replace(" ", "_").replace("/", "_")
            place.mkdir()
            before = prepare(model, Path(data), place, before, options.max_drop)
            record[name] = measure_case(place, Path(data), options, random=model.startswith("preset:"))
            write(record, options)


def prepare(model: str, data: Path, place: Path, before: Path | None, max_drop: float) -> Path:
    """Put a model into a folder and export it in every way; say which ways failed."""
    from ushape.core.errors import ExportError
    from ushape.workflows.export import ExportRequest, export
    from ushape.workflows.stored import model_path

    file = place / "model.safetensors"
    if model.startswith("preset:"):
        _, preset, size = model.split(":")
        write_random(file, preset, int(size), before)
        max_drop = 100.0
    else:
        shutil.copy(model_path(model), file)
    for engine, precision in (row for row in ROWS.values() if row[0] != "torch"):
        calibrate = data if precision == "int8" else None
        try:
            path, facts = export(ExportRequest(file, engine, precision, calibrate=calibrate, max_drop=max_drop))
        except ExportError as error:
            print(f"{engine} {precision}: {error}", flush=True)
            continue
        path.with_name(f"{engine}-{precision}.json").write_text(json.dumps({"path": str(path), **asdict(facts)}))
    return file


def write_random(file: Path, name: str, size: int, before: Path | None) -> None:
    import torch

    from ushape.core.config import with_fields
    from ushape.core.model_file import ModelHeader, read_header, write_model
    from ushape.nets.presets import preset
    from ushape.nets.unet import UNet
    from ushape.plan.recipe import read_recipe, to_toml

    if before is None:
        raise SystemExit("preset:NAME:SIZE needs a case before it, whose recipe it takes")
    recipe = read_recipe(read_header(before).recipe, str(before))
    net = preset(name, in_channels=recipe.net.in_channels, classes=recipe.net.classes, ndim=recipe.net.ndim)
    window = [size] * recipe.net.ndim
    changes = {"net": net.model_dump(), "predict.window.size": window, "patches.size": window}
    torch.manual_seed(0)
    write_model(file, UNet(net).state_dict(), ModelHeader(to_toml(with_fields(recipe, changes, "bench"), {})))


def measure_case(place: Path, data: Path, options: argparse.Namespace, *, random: bool) -> dict:
    found: dict = {row: {"seconds": {str(batch): [] for batch in BATCHES}, "memory": []} for row in ROWS}
    for number in range(options.rounds):
        for row, (engine, precision) in ROWS.items():
            scored = number == 0 and not random
            done = run_child(place, engine, precision, [str(options.seconds), str(data) if scored else "none"])
            if done is None:
                found.pop(row, None) if number == 0 else None
                continue
            for batch in BATCHES:
                found[row]["seconds"][str(batch)] += done["seconds"][str(batch)]
            found[row]["memory"].append(done["memory"])
            found[row] |= {key: done[key] for key in ("dice", "bytes") if done.get(key) is not None}
            print(row, {b: statistics.median(t) for b, t in done["seconds"].items()}, done.get("dice"), flush=True)
    if not random:
        found["files"] = measure_files(place, data, options)
    return found


def run_child(place: Path, engine: str, precision: str, arguments: list[str]) -> dict | None:
    command = [sys.executable, __file__, "child", str(place), engine, precision, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{engine} {precision} failed: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def child(place: Path, engine: str, precision: str, seconds: float, data: str) -> None:
    """Time one row; torch is loaded only where it runs, or at the end to score."""
    from ushape.core.model_file import read_header

    header = read_header(place / "model.safetensors")
    import tomllib

    recipe = tomllib.loads(header.recipe)
    window, channels = recipe["predict"]["window"]["size"], recipe["data"]["channels"]
    opened, size = open_torch(place, precision) if engine == "torch" else open_exported(place, engine, precision)
    times = {batch: measure(opened, (batch, channels, *window), seconds) for batch in BATCHES}
    memory = peak_memory()
    dice = score(place, opened, Path(data)) if data != "none" else None
    print(json.dumps({"seconds": times, "memory": memory, "bytes": size, "dice": dice}))


def peak_memory() -> int:
    """Return the most bytes this process held; Linux counts from the start of the program, not of its parent."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def measure(engine, shape: tuple[int, ...], seconds: float) -> list[float]:
    from ushape.predict.timing import time_engine

    times = time_engine(engine, shape, seconds)
    while len(times) < FEWEST:
        times += time_engine(engine, shape, 0)
    return times


def open_torch(place: Path, precision: str):
    from ushape.train.probe import use_threads
    from ushape.workflows.stored import read_model

    use_threads(0)
    engine = read_model(place / "model.safetensors").reference()
    if precision == "compiled":
        engine.net.compile(dynamic=False)
    else:
        engine.precision = precision
    return engine, (place / "model.safetensors").stat().st_size


def open_exported(place: Path, engine: str, precision: str):
    from ushape.predict.onnx_engine import OnnxEngine
    from ushape.predict.openvino_engine import OpenVinoEngine, compile_model, read_model

    path = Path(json.loads((place / f"{engine}-{precision}.json").read_text())["path"])
    cores = cores_here()
    files = [path, *([path.with_suffix(".bin")] if path.suffix == ".xml" else [])]
    size = sum(file.stat().st_size for file in files)
    import tomllib

    from ushape.predict.exported import read_export

    classes = len(tomllib.loads(read_export(path)[0].recipe)["data"]["labels"]["values"])
    if engine == "onnx":
        return OnnxEngine(path, classes, threads=cores), size
    return OpenVinoEngine(compile_model(read_model(path), precision, cores, str(path)), classes), size


def cores_here() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def score(place: Path, engine, data: Path) -> float:
    from ushape.core.events import ignore_events
    from ushape.workflows.calibration import load_trials
    from ushape.workflows.stored import read_model

    return load_trials(data, read_model(place / "model.safetensors").recipe, ignore_events).score(engine)


def measure_files(place: Path, data: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Time `ushape predict` on a folder of images, program start included."""
    from ushape.io.layouts import find_pairs

    images, found = place / "images", {}
    images.mkdir()
    for pair in find_pairs(data)[: options.images]:
        shutil.copy(pair.image, images)
    models = {"torch": place / "model.safetensors"}
    for name in ("onnx-int8", "openvino-int8", "openvino-bf16"):
        if (place / f"{name}.json").exists():
            models[name] = Path(json.loads((place / f"{name}.json").read_text())["path"])
    for _ in range(options.rounds):
        for name, model in models.items():
            started = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "ushape",
                "predict",
                str(model),
                str(images),
                "-o",
                str(place / f"out-{name}"),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found.setdefault(name, []).append(time.perf_counter() - started)
    return found


def write(record: dict, options: argparse.Namespace) -> None:
    lines = [
        f"`python benchmarks/engines.py --case NAME MODEL DATA ...`, {cores_here()} cores, {options.rounds} rounds"
    ]
    for name, measured in record.items():
        rows = {row: found for row, found in measured.items() if row != "files"}
        files = measured.get("files", {})
        lines += [
            "",
            f"**{name}**",
            "",
            "| engine | ms a window (quartiles) | x eager | windows/s at 1 / 8 | peak memory | file | Dice |",
        ]
        lines += ["|---|---|---|---|---|---|---|"]
        eager = statistics.median(rows["torch, eager float32"]["seconds"]["1"])
        for row, found in rows.items():
            one, eight = found["seconds"]["1"], found["seconds"]["8"]
            low, mid, high = statistics.quantiles(one, n=4)
            rates = f"{1 / mid:.2f} / {8 / statistics.median(eight):.2f}"
            dice = f"{found['dice']:.4f}" if "dice" in found else "-"
            lines.append(
                f"| {row} | {mid * 1000:.1f} ({low * 1000:.1f} to {high * 1000:.1f}) | {eager / mid:.1f} | {rates} "
                f"| {statistics.median(found['memory']) / 1e6:.0f} MB | {found['bytes'] / 1e6:.1f} MB | {dice} |"
            )
        for engine, times in files.items():
            spread = f"{statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})"
            lines += ["", f"Files to files, {options.images} images, {engine}: {spread}"]
    options.write.mkdir(exist_ok=True)
    (options.write / "engines.md").write_text("\n".join(lines) + "\n")
    (options.write / "engines.json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5]), sys.argv[6])
    else:
        main()
