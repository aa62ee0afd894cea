"""One model in every engine: latency, throughput, memory, file size and Dice; and a folder of images, files to files.

Three models: the default nets for DSB 2018 and MSD task 4, trained here for a few minutes unless `--models` has them,
and the U-Net of 31 million weights, random, on windows of 256 x 256 and 512 x 512; it has no Dice. Each row is measured
in processes of its own (`engine_row.py`), round after round: memory is its own, and other work strikes all alike. What
was done lies in `--folder`; a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
CHILD = Path(__file__).with_name("engine_row.py")
USHAPE = [sys.executable, "-m", "ushape"]
ROWS = {
    "torch, eager float32": ("torch", "eager"),
    "torch, channels last": ("torch", "float32"),
    "torch, compiled float32": ("torch", "compiled"),
    "torch, bf16": ("torch", "bf16"),
    "ONNX Runtime, fp32": ("onnx", "fp32"),
    "ONNX Runtime, INT8": ("onnx", "int8"),
    "OpenVINO, fp32": ("openvino", "fp32"),
    "OpenVINO, bf16": ("openvino", "bf16"),
    "OpenVINO, INT8": ("openvino", "int8"),
}
MANY = 8
"""The larger batch; it is measured in the first round only."""
FILES = ("torch", "onnx-fp32", "onnx-int8", "openvino-bf16", "openvino-int8")


@dataclass(frozen=True)
class Case:
    """A model, and the images it is for.

    Attributes:
        sizes: of the windows; () for that of its recipe.
        preset: a net of random weights; "" for one that is trained.
        flags: for its training.
    """

    data: str
    sizes: tuple[tuple[int, ...], ...] = ()
    preset: str = ""
    flags: tuple[str, ...] = ()


CASES = {
    "dsb2018": Case("dsb2018", flags=("--foreground",)),
    "hippocampus": Case("Task04_Hippocampus"),
    "unet-31m": Case("dsb2018", ((256, 256), (512, 512)), "unet-bn"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, help="folder with dsb2018.safetensors and hippocampus.safetensors")
    parser.add_argument("--minutes", type=float, default=5.0, help="to train what --models lacks")
    parser.add_argument("--folder", type=Path, default=Path("runs/engines"), help="for models, exports, measurements")
    parser.add_argument("--only", choices=list(CASES), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="per row, size and round; at least one pass")
    parser.add_argument("--max-drop", type=float, default=0.3)
    parser.add_argument("--images", type=int, default=50, help="of the files-to-files comparison")
    parser.add_argument("--write", type=Path, default=RESULTS)
    options = parser.parse_args()
    for name in options.only or CASES:
        case, place = CASES[name], options.folder / name
        place.mkdir(parents=True, exist_ok=True)
        prepare(name, case, place, options)
        measure_case(case, place, options)
        if name == "dsb2018":
            measure_files(place, options)
    write(options)


def prepare(name: str, case: Case, place: Path, options: argparse.Namespace) -> None:
    """Put the model into its folder, and its exports beside it, as far as they are not there."""
    file = place / "model.safetensors"
    if not file.exists():
        if case.preset:
            write_random(file, case)
        elif options.models and (options.models / f"{name}.safetensors").exists():
            shutil.copy(options.models / f"{name}.safetensors", file)
        else:
            train = ["train", options.data / case.data, "-o", place / "run", "--minutes", options.minutes]
            subprocess.run([*USHAPE, *map(str, [*train, *case.flags])], check=True, stdout=subprocess.DEVNULL)
            shutil.copy(place / "run" / "model.safetensors", file)
    for engine, precision in (row for row in ROWS.values() if row[0] != "torch"):
        if not (done := place / f"{engine}-{precision}.txt").exists():
            started = time.perf_counter()
            command = [CHILD, "export", place, engine, precision, options.data / case.data]
            drop = "none" if case.preset else options.max_drop
            ended = subprocess.run([sys.executable, *map(str, [*command, drop])], check=False, stdout=subprocess.PIPE)
            note = "" if ended.returncode == 0 else "failed"
            done.write_text(ended.stdout.decode() + note, encoding="utf-8")
            print(f"{place.name}: {engine} {precision} {note} {time.perf_counter() - started:.0f} s", flush=True)


def write_random(file: Path, case: Case) -> None:
    import torch

    from ushape.core.model_file import ModelHeader, write_model
    from ushape.nets.presets import preset
    from ushape.nets.unet import UNet
    from ushape.plan.recipe import Recipe, to_toml

    net, size = preset(case.preset, in_channels=1, classes=2, ndim=len(case.sizes[0])), list(case.sizes[0])
    plain = {"net": net.model_dump(), "predict": {"window": {"size": size}}, "patches": {"size": size}}
    torch.manual_seed(0)
    write_model(file, UNet(net).state_dict(), ModelHeader(to_toml(Recipe.model_validate(plain), {})))


def measure_case(case: Case, place: Path, options: argparse.Namespace) -> None:
    """Measure every row, round by round; what an earlier call has measured is left alone."""
    sizes = json.dumps(case.sizes)
    for number in range(options.rounds):
        for engine, precision in ROWS.values():
            done = place / f"{engine}-{precision}-round{number}.json"
            if done.exists() or not is_exported(place, engine, precision):
                continue
            many = MANY if number == 0 else 0
            data = options.data / case.data if number == 0 and not case.preset else "none"
            command = [CHILD, "measure", place, engine, precision, sizes, options.seconds, many, data]
            ended = subprocess.run([sys.executable, *map(str, command)], check=False, stdout=subprocess.PIPE)
            if ended.returncode == 0:
                done.write_text(ended.stdout.decode().splitlines()[-1], encoding="utf-8")
                print(place.name, engine, precision, number, done.read_text(encoding="utf-8"), flush=True)


def is_exported(place: Path, engine: str, precision: str) -> bool:
    return engine == "torch" or not (place / f"{engine}-{precision}.txt").read_text(encoding="utf-8").endswith("failed")


def measure_files(place: Path, options: argparse.Namespace) -> None:
    """Time `ushape predict` on a folder of images, program start included."""
    from ushape.io.layouts import find_pairs

    images = place / f"images-{options.images}"
    images.mkdir(exist_ok=True)
    for pair in find_pairs(options.data / "dsb2018")[: options.images]:
        shutil.copy(pair.image, images)
    for number in range(options.rounds):
        for name in FILES:
            engine, _, precision = name.partition("-")
            done = place / f"files-{name}-round{number}.json"
            if done.exists() or not is_exported(place, engine, precision):
                continue
            suffix = {"onnx": f"-{precision}.onnx", "openvino": f"-{precision}.xml"}.get(engine, ".safetensors")
            command = ["predict", place / f"model{suffix}", images, "-o", place / "masks" / name]
            started = time.perf_counter()
            subprocess.run([*USHAPE, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
            done.write_text(json.dumps(time.perf_counter() - started), encoding="utf-8")


def gather(place: Path, pattern: str) -> list:
    """Read what all rounds of something measured."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(place.glob(f"{pattern}-round*.json"))]


def write(options: argparse.Namespace) -> None:
    """Write the tables of all that was measured, by this call or earlier ones."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines, record = [f"`python benchmarks/engines.py --data DIR`, {cores} cores, {options.rounds} rounds"], {}
    for name in CASES:
        rows = {row: gather(options.folder / name, "-".join(key)) for row, key in ROWS.items()}
        rows = {row: rounds for row, rounds in rows.items() if rounds}
        if "torch, eager float32" not in rows:
            continue
        record[name] = rows
        for size in rows["torch, eager float32"][0]["one"]:
            lines += ["", f"**{name}, windows of {size}**", "", *show_table(rows, size)]
    files = {name: gather(options.folder / "dsb2018", f"files-{name}") for name in FILES}
    base = statistics.median(files["torch"]) if files["torch"] else 0.0
    for name, times in files.items():
        if times:
            mid, spread = statistics.median(times), f"{min(times):.1f} to {max(times):.1f}"
            lines += [
                "",
                f"Files to files, {options.images} images, {name}: {mid:.1f} s ({spread}), {base / mid:.1f} x",
            ]
    options.write.mkdir(exist_ok=True)
    (options.write / "engines.md").write_text("\n".join(lines) + "\n")
    (options.write / "engines.json").write_text(json.dumps({**record, "files": files}, indent=1) + "\n")
    print("\n".join(lines), flush=True)


def show_table(rows: dict, size: str) -> list[str]:
    lines = [f"| engine | ms a window (quartiles) | x eager | windows/s at 1 / {MANY} | peak memory | file | Dice |"]
    lines += ["|---|---|---|---|---|---|---|"]
    eager = statistics.median(times_of(rows["torch, eager float32"], size))
    for row, rounds in rows.items():
        times, first = times_of(rounds, size), rounds[0]
        low, mid, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
        many = f"{MANY / statistics.median(first['many'][size]):.2f}" if size in first["many"] else "-"
        dice = f"{first['dice']:.4f}" if "dice" in first else "-"
        memory = statistics.median(each["memory"][size] for each in rounds)
        speed = f"{mid * 1000:.1f} ({low * 1000:.1f} to {high * 1000:.1f}) | {eager / mid:.1f} | {1 / mid:.2f} / {many}"
        lines.append(f"| {row} | {speed} | {memory / 1e6:.0f} MB | {first['bytes'] / 1e6:.1f} MB | {dice} |")
    return lines


def times_of(rounds: list[dict], size: str) -> list[float]:
    return [seconds for each in rounds for seconds in each["one"][size]]


if __name__ == "__main__":
    main()
