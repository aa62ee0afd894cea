"""Ten hippocampus volumes from files to masks, process start included: seconds, CPU seconds, peak memory.

Both sides run a network of nnU-Net's 3D topology for this data set (4 levels, widths 32 to 256, 5.6 million weights)
over windows of 40 x 56 x 40 that overlap by half, without mirroring; ours has random weights, on which time does not
depend.
With `--peer PYTHON` nnU-Net runs beside it, as a trained nnU-Net of its own: `--peer-model` names the folder in which
its `nnUNet_results` lie, `--peer-dataset` the data set, `--peer-trainer` the trainer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
QUOTED = {"name": "nnU-Net 2.8, quoted: two cores of the same kind, another day", "seconds": 20.3, "megabytes": 4000}
WINDOW = (40, 56, 40)
POLL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of MSD Task04_Hippocampus")
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="the Python of an environment with nnunetv2")
    parser.add_argument("--peer-model", type=Path, help="nnU-Net's results folder")
    parser.add_argument("--peer-dataset", default="4")
    parser.add_argument("--peer-trainer", default="nnUNetTrainer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, images = make_model(Path(folder) / "model.safetensors"), Path(folder) / "images"
        images.mkdir()
        for path in sorted((options.data / "imagesTr").glob("*.nii.gz"))[: options.cases]:
            shutil.copy(path, images / path.name.replace(".nii.gz", "_0000.nii.gz"))
        ours = [sys.executable, "-m", "ushape", "predict", str(model), str(images), "-o", f"{folder}/ours"]
        rows = [measure("ushape", ours, options.runs), measure("ushape --mirror", [*ours, "--mirror"], options.runs)]
        if options.peer:
            rows.append(measure("nnUNetv2_predict", peer_command(options, images, Path(folder)), options.runs))
    rows.append(QUOTED)
    write(rows, options)


def make_model(path: Path) -> Path:
    """Write a model of nnU-Net's topology with random weights, window and overlap."""
    import torch

    from ushape.core.labels import Labels
    from ushape.core.model_file import ModelHeader, write_model
    from ushape.nets.presets import build, preset
    from ushape.plan.recipe import DataConfig, Recipe, to_toml
    from ushape.predict.predictor import PredictConfig
    from ushape.predict.windows import WindowConfig

    labels = Labels(names=("background", "anterior", "posterior"), values=(0, 1, 2))
    net = preset("nnunet-3d", in_channels=1, classes=3).model_copy(update={"widths": (32, 64, 128, 256)})
    recipe = Recipe(
        data=DataConfig(labels=labels),
        net=net,
        patches={"size": WINDOW},
        predict=PredictConfig(window=WindowConfig(size=WINDOW, overlap=0.5)),
    )
    torch.manual_seed(0)
    weights = build(net).state_dict()
    write_model(path, weights, ModelHeader(to_toml(recipe, {}), parameters=sum(v.numel() for v in weights.values())))
    return path


def peer_command(options: argparse.Namespace, images: Path, folder: Path) -> list[str]:
    """Return the command that runs nnU-Net; its folders are given by environment variables."""
    os.environ |= {name: str(options.peer_model) for name in ("nnUNet_results", "nnUNet_raw", "nnUNet_preprocessed")}
    program = str(Path(options.peer).parent / "nnUNetv2_predict")
    task = ["-d", options.peer_dataset, "-c", "3d_fullres", "-f", "0", "-tr", options.peer_trainer]
    files = ["-i", str(images), "-o", str(folder / "theirs")]
    return [program, *files, *task, "-device", "cpu", "--disable_tta", "--disable_progress_bar"]


def measure(name: str, command: list[str], runs: int) -> dict[str, object]:
    """Run a command several times; a first run, which fills the disk's cache, does not count."""
    taken = [run(command) for _ in range(runs + 1)][1:]
    seconds = [each[0] for each in taken]
    return {
        "name": name,
        "seconds": statistics.median(seconds),
        "spread": [min(seconds), max(seconds)],
        "cpu_seconds": statistics.median(each[1] for each in taken),
        "megabytes": max(each[2] for each in taken),
        "processes": max(each[3] for each in taken),
    }


def run(command: list[str]) -> tuple[float, float, float, int]:
    """Return wall seconds, CPU seconds, peak megabytes of all processes together, and how many there were."""
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak, most = 0.0, 0
    while process.poll() is None:
        family = descendants(process.pid)
        peak, most = max(peak, sum(map(proportional_megabytes, family))), max(most, len(family))
        time.sleep(POLL)
    seconds, after = time.perf_counter() - started, os.times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used, peak, most


def descendants(root: int) -> list[int]:
    """List a process and all its children, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def proportional_megabytes(pid: int) -> float:
    """Return the memory of one process; what several share is counted once among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def write(rows: list[dict], options: argparse.Namespace) -> None:
    base = rows[0]["seconds"]
    lines = [
        f"`python benchmarks/predict_files.py`: {options.cases} cases, {options.runs} runs",
        "",
        "| program | seconds (spread) | CPU seconds | peak MB | processes | times ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = f" ({row['spread'][0]:.1f} to {row['spread'][1]:.1f})" if "spread" in row else ""
        cpu = f"{row['cpu_seconds']:.1f}" if "cpu_seconds" in row else ""
        cells = [row["name"], f"{row['seconds']:.1f}{spread}", cpu, f"{row['megabytes']:.0f}", row.get("processes", "")]
        lines.append("| " + " | ".join(map(str, [*cells, f"{row['seconds'] / base:.1f}"])) + " |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "predict_files.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "predict_files.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
