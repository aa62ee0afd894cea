"""Ten hippocampus volumes from files to masks, process start included: seconds, CPU seconds, peak memory.

Both sides run a network of nnU-Net's 3D topology for this data set (4 levels, widths 32 to 256, 5.6 million weights)
over windows of 40 x 56 x 40 that overlap by half, without mirroring; both have random weights, on which time does not
depend.
With `--peer PYTHON` nnU-Net 2.8 runs beside it, by `nnUNetv2_predict` with its default numbers of processes. Its
environment:
  python -m venv nnunet; nnunet/bin/pip install torch==2.13.0; nnunet/bin/pip install nnunetv2==2.8.1 torch==2.13.0
  nnunet/bin/pip uninstall -y torchvision  # the registry's does not load beside a CPU build of torch
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
WINDOW = (40, 56, 40)
POLL = 0.05
PEER_DATASET = "Dataset004_Hippocampus"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of MSD Task04_Hippocampus")
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="the Python of an environment with nnunetv2")
    parser.add_argument("--make-peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_peer:
        make_peer_model(options.make_peer)
        return
    with tempfile.TemporaryDirectory() as folder:
        model, images = make_model(Path(folder) / "model.safetensors"), Path(folder) / "images"
        images.mkdir()
        for path in sorted((options.data / "imagesTr").glob("*.nii.gz"))[: options.cases]:
            shutil.copy(path, images / path.name.replace(".nii.gz", "_0000.nii.gz"))
        ours = [sys.executable, "-m", "ushape", "predict", str(model), str(images), "-o", f"{folder}/ours"]
        rows = [measure("ushape", ours, options.runs), measure("ushape --mirror", [*ours, "--mirror"], options.runs)]
        if options.peer:
            rows.append(measure("nnUNetv2_predict", peer_command(options.peer, images, Path(folder)), options.runs))
    write(rows, options)


def make_model(path: Path) -> Path:
    """Write a model of nnU-Net's topology with random weights, window and overlap."""
    import torch

    from ushape.core.labels import Labels
    from ushape.core.model_file import ModelHeader, write_model
    from ushape.nets.presets import build, preset
    from ushape.plan.data import DataConfig
    from ushape.plan.recipe import Recipe, to_toml
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


def peer_command(python: str, images: Path, folder: Path) -> list[str]:
    """Make the peer's model, and return the command that runs it; its folders are given by environment variables."""
    os.environ |= {name: str(folder / "peer") for name in ("nnUNet_results", "nnUNet_raw", "nnUNet_preprocessed")}
    model = folder / "peer" / PEER_DATASET / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    subprocess.run([python, str(Path(__file__).resolve()), "--make-peer", str(model)], check=True)
    program = str(Path(python).parent / "nnUNetv2_predict")
    files = ["-i", str(images), "-o", str(folder / "theirs")]
    task = ["-d", PEER_DATASET, "-c", "3d_fullres", "-f", "0", "-device", "cpu"]
    return [program, *files, *task, "--disable_tta", "--disable_progress_bar"]


def make_peer_model(folder: Path) -> None:
    """Write a model folder of nnU-Net's with the plan that it makes for this data set, and random weights."""
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    (folder / "fold_0").mkdir(parents=True)
    dataset = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "anterior": 1, "posterior": 2}}
    dataset |= {"numTraining": 60, "file_ending": ".nii.gz"}
    plans = make_peer_plans()
    net = PlansManager(plans).get_configuration("3d_fullres")
    torch.manual_seed(0)
    how = (net.network_arch_class_name, net.network_arch_init_kwargs, net.network_arch_init_kwargs_req_import)
    weights = get_network_from_plans(*how, 1, 3, deep_supervision=False).state_dict()
    init = {"plans": plans, "configuration": "3d_fullres", "fold": 0, "dataset_json": dataset}
    checkpoint = {"network_weights": weights, "init_args": init, "trainer_name": "nnUNetTrainer"}
    torch.save({**checkpoint, "inference_allowed_mirroring_axes": (0, 1, 2)}, folder / "fold_0/checkpoint_final.pth")
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "plans.json").write_text(json.dumps(plans))


def make_peer_plans() -> dict[str, object]:
    norm, conv, act = "torch.nn.InstanceNorm3d", "torch.nn.Conv3d", "torch.nn.LeakyReLU"
    net = {
        "n_stages": 4,
        "features_per_stage": [32, 64, 128, 256],
        "conv_op": conv,
        "kernel_sizes": [[3, 3, 3]] * 4,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * 3,
        "n_conv_per_stage": [2] * 4,
        "n_conv_per_stage_decoder": [2] * 3,
        "conv_bias": True,
        "norm_op": norm,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": act,
        "nonlin_kwargs": {"inplace": True},
    }
    unet = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
    needed = ["conv_op", "norm_op", "dropout_op", "nonlin"]
    orders = {"data": (3, 0), "seg": (1, 0), "probabilities": (1, 0)}
    resampling: dict[str, object] = {}
    for what, (order, order_z) in orders.items():
        resampling[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        how = {"is_seg": what == "seg", "order": order, "order_z": order_z, "force_separate_z": None}
        resampling[f"resampling_fn_{what}_kwargs"] = how
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 9,
        "patch_size": list(WINDOW),
        "median_image_size_in_voxels": [36, 50, 35],
        "spacing": [1.0, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        **resampling,
        "architecture": {"network_class_name": unet, "arch_kwargs": net, "_kw_requires_import": needed},
        "batch_dice": False,
    }
    return {
        "dataset_name": PEER_DATASET,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [36, 50, 35],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
    }


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
