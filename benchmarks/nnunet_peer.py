"""nnU-Net on the same hippocampus cases, cores and CPU seconds as `hippocampus.py`, and its training step beside ours.

Trained on the first 60 sorted cases (fold 0 of its own five) and scored on the last 20, by `ushape evaluate` as ours
are. The trainer is nnU-Net's own with fewer steps, over which its schedule is stretched; its validation of whole cases
at the end is left out, in its favour. How many steps fit into the CPU seconds, two short trainings tell.

The step: equal network (nnU-Net's for this data: 4 levels of 32 to 256 channels, 5.6 million weights), patch and batch
on both sides, each with its own loss and optimiser, in the precision it takes by default; no data is loaded.

The environment: python3 -m venv LAB/env; LAB/env/bin/pip install torch==2.13.0; LAB/env/bin/pip install
nnunetv2==2.8.1 torch==2.13.0; LAB/env/bin/pip uninstall -y torchvision (which breaks beside a CPU build of torch).
Then --peer LAB/env/bin/python. What it trains is kept in --lab, for `predict_files.py --peer-model LAB/results
--peer-trainer nnUNetTrainerShort`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hippocampus import TRAINED, class_name, dice_of, link_tests
from prepare import measure

from ushape.core.files import read_json, write_json

RESULTS = Path(__file__).parent / "results"
NAME, PATCH, BATCH, WIDTHS = "Dataset004_Hippocampus", (40, 56, 40), 2, (32, 64, 128, 256)
ITERATIONS = 25
"""Steps of one of its epochs."""
TRIALS = (5, 20)
"""Steps of the two short trainings from which the cost of one follows."""
TRAINER = '''
import os
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
import torch

class nnUNetTrainerShort(nnUNetTrainer):
    """Fewer steps, of which the schedule knows; no validation of whole cases at the end."""

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict,
                 device: torch.device = torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["PEER_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["PEER_ITERATIONS"])
        self.num_val_iterations_per_epoch = 3

    def perform_actual_validation(self, save_probabilities: bool = False):
        pass
'''
STEP = """
import json, sys, time
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

patch, batch, widths, steps = json.loads(sys.argv[1])
net = PlainConvUNet(1, len(widths), widths, torch.nn.Conv3d, 3, [1] + [2] * (len(widths) - 1), 2, 3,
    [2] * (len(widths) - 1), conv_bias=True, norm_op=torch.nn.InstanceNorm3d,
    norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    deep_supervision=True)
loss = DC_and_CE_loss({"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}, {},
    weight_ce=1, weight_dice=1, ignore_label=None, dice_class=MemoryEfficientSoftDiceLoss)
levels = len(widths) - 1
loss = DeepSupervisionWrapper(loss, [2**-i / sum(2**-j for j in range(levels - 1)) for i in range(levels - 1)] + [0])
image = torch.randn(batch, 1, *patch)
labels = [torch.randint(0, 3, (batch, 1, *[size // 2**i for size in patch])) for i in range(levels)]
optimizer = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)
times = []
for _ in range(steps + 1):
    started, used = time.perf_counter(), time.process_time()
    optimizer.zero_grad(set_to_none=True)
    loss(net(image), labels).backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 12)
    optimizer.step()
    times.append([time.perf_counter() - started, time.process_time() - used])
print(json.dumps({"parameters": sum(p.numel() for p in net.parameters()), "times": times[1:]}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Task04_Hippocampus")
    parser.add_argument("--peer", type=Path, required=True, help="the Python of an environment with nnunetv2")
    parser.add_argument("--lab", type=Path, required=True, help="folder for its data and models; kept")
    parser.add_argument("--cpu-seconds", type=float, default=450.0, help="of its preparation and training together")
    parser.add_argument("--steps", type=int, default=10, help="training steps compared")
    parser.add_argument("--only", choices=["accuracy", "step"])
    options = parser.parse_args()
    stored, load = RESULTS / "nnunet_peer.json", os.getloadavg()[0]
    found = read_json(stored) if stored.exists() else {}
    if options.only != "accuracy":
        found["step"] = {"nnU-Net": their_steps(options), "ushape": our_steps(options.steps)}
    if options.only != "step":
        row = train(options)
        kept = [one for one in found.get("accuracy", []) if one["asked_cpu_s"] != row["asked_cpu_s"]]
        found["accuracy"] = sorted([*kept, row], key=lambda one: one["asked_cpu_s"])
    found["load"] = load
    write_json(stored, found)
    write(found)


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare, find out how many steps fit into the CPU seconds, train, predict and score."""
    lab, program = options.lab.resolve(), options.peer.parent
    source = options.data / "Task04_Hippocampus"
    make_raw(source, lab)
    install_trainer(options.peer)
    folders = {f"nnUNet_{name}": str(lab / name) for name in ("raw", "preprocessed", "results")}
    os.environ.update(folders)
    shutil.rmtree(lab / "preprocessed", ignore_errors=True)
    planned = measure(
        [program / "nnUNetv2_plan_and_preprocess", "-d", "4", "-c", "3d_fullres", "-np", "2", "-npfp", "2"]
    )
    trials = [run_training(program, lab, 1, steps)["cpu_s"] for steps in TRIALS]
    step = (trials[1] - trials[0]) / (TRIALS[1] - TRIALS[0])
    left = options.cpu_seconds - planned["cpu_s"] - (trials[0] - TRIALS[0] * step)
    epochs = max(1, round(left / step / ITERATIONS))
    spent = run_training(program, lab, epochs, ITERATIONS)
    masks = lab / "masks"
    shutil.rmtree(masks, ignore_errors=True)
    files = ["-i", lab / "raw" / NAME / "imagesTs", "-o", masks, *chosen()]
    predicted = measure([program / "nnUNetv2_predict", *files, "--disable_tta", "--disable_progress_bar"])
    scored = [sys.executable, "-m", "ushape", "evaluate", str(masks), str(lab / "test" / "labels"), "--json"]
    scores = json.loads(subprocess.run(scored, check=True, capture_output=True, text=True).stdout)
    return {
        "asked_cpu_s": options.cpu_seconds,
        "mean_dice": scores["mean_foreground_dice"],
        "dice": {class_name(one): one["mean"] for one in dice_of(scores)},
        "steps": epochs * ITERATIONS,
        "prepare": planned,
        "train": spent,
        "predict": predicted,
    }


def chosen() -> list[str]:
    return ["-d", "4", "-c", "3d_fullres", "-f", "0", "-tr", "nnUNetTrainerShort", "-device", "cpu"]


def run_training(program: Path, lab: Path, epochs: int, iterations: int) -> dict[str, float]:
    """Run its training command for so many steps; what an earlier one left is removed."""
    shutil.rmtree(lab / "results", ignore_errors=True)
    os.environ.update(PEER_EPOCHS=str(epochs), PEER_ITERATIONS=str(iterations))
    return measure([program / "nnUNetv2_train", "4", "3d_fullres", "0", "-tr", "nnUNetTrainerShort", "-device", "cpu"])


def make_raw(source: Path, lab: Path) -> None:
    """Lay the cases out as nnU-Net wants them: the first to train, the last to test."""
    raw = lab / "raw" / NAME
    if raw.exists():
        return
    listed = sorted(read_json(source / "dataset.json")["training"], key=lambda entry: entry["image"])
    link_tests(source, lab / "test")
    for entry in listed[:TRAINED]:
        link(source / entry["image"], raw / "imagesTr", "_0000.nii.gz")
        link(source / entry["label"], raw / "labelsTr", ".nii.gz")
    for image in sorted((lab / "test" / "images").iterdir()):
        link(image, raw / "imagesTs", "_0000.nii.gz")
    labels = {"background": 0, "Anterior": 1, "Posterior": 2}
    facts = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": TRAINED, "file_ending": ".nii.gz"}
    write_json(raw / "dataset.json", facts)


def link(file: Path, folder: Path, ending: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name.replace(".nii.gz", ending)).symlink_to(file.resolve())


def install_trainer(peer: Path) -> None:
    """Put the short trainer where nnU-Net looks for trainers first: others fail to import without torchvision."""
    ask = "import nnunetv2.training.nnUNetTrainer.nnUNetTrainer as found; print(found.__file__)"
    file = subprocess.run([str(peer), "-c", ask], check=True, capture_output=True, text=True).stdout.split("\n")[-2]
    (Path(file).parent / "nnUNetTrainerShort.py").write_text(TRAINER)


def their_steps(options: argparse.Namespace) -> dict[str, Any]:
    asked = json.dumps([PATCH, BATCH, WIDTHS, options.steps])
    done = subprocess.run([str(options.peer), "-c", STEP, asked], check=True, capture_output=True, text=True)
    return {"precision": "float32, contiguous", **json.loads(done.stdout.splitlines()[-1])}


def our_steps(steps: int) -> dict[str, Any]:
    """Time training steps of the same network as a training of ours does them."""
    import time

    import torch

    from ushape.core.layout import lay_out, layout_name, memory_format
    from ushape.losses.compose import Loss, LossConfig
    from ushape.nets.presets import build, nnunet
    from ushape.train.budget import candidates
    from ushape.train.optim import OptimConfig, make_optimizer
    from ushape.train.probe import AUTOCAST, probe_precision

    config = nnunet(3, WIDTHS).model_copy(update={"classes": 3})
    shape = (BATCH, 1, *PATCH)
    timing = probe_precision(lambda: build(config), shape, "cpu", candidates("cpu"))[0]
    net = lay_out(build(config), 3) if timing.channels_last else build(config)
    image = torch.randn(shape)
    image = image.contiguous(memory_format=memory_format(image, timing.channels_last))
    label = torch.randint(3, (BATCH, *PATCH))
    loss, optimizer = Loss(LossConfig()), make_optimizer(net.parameters(), OptimConfig())
    times = []
    for _ in range(steps + 1):
        started, used = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", AUTOCAST.get(timing.precision), enabled=timing.precision in AUTOCAST):
            value = loss(net(image), label)
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        times.append([time.perf_counter() - started, time.process_time() - used])
    precision = f"{timing.precision}, {layout_name(channels_last=timing.channels_last).replace('_', ' ')}"
    parameters = sum(weight.numel() for weight in net.parameters())
    return {"precision": precision, "parameters": parameters, "times": times[1:]}


def write(found: dict[str, Any]) -> None:
    lines = ["`python benchmarks/nnunet_peer.py --data DIR --peer PYTHON --lab LAB`, "]
    lines = [f"{lines[0]}{os.cpu_count()} cores, load average {found['load']:.1f} at the start; nnU-Net 2.8.1.", ""]
    if "accuracy" in found:
        lines += ["| nnU-Net, CPU s asked | mean Dice | by class | steps | prepare + train, CPU s | peak, MB |"]
        lines += ["|---|---|---|---|---|---|", *map(show_accuracy, found["accuracy"]), ""]
    if "step" in found:
        size = f"{BATCH}x{'x'.join(map(str, PATCH))}"
        lines += [f"One training step, {size}, equal network: medians.", ""]
        lines += [
            "| | weights | precision | s | CPU s | steps per second, times nnU-Net's |",
            "|---|---|---|---|---|---|",
        ]
        base = median(found["step"]["nnU-Net"], 0)
        lines += [show_step(name, one, base) for name, one in found["step"].items()]
    (RESULTS / "nnunet_peer.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def show_accuracy(row: dict[str, Any]) -> str:
    classes = ", ".join(f"{name} {value:.3f}" for name, value in row["dice"].items())
    spent = row["prepare"]["cpu_s"] + row["train"]["cpu_s"]
    peak = max(row[part]["peak_mb"] for part in ("prepare", "train"))
    return (
        f"| {row['asked_cpu_s']:.0f} | {row['mean_dice']:.4f} | {classes} | {row['steps']} | {spent:.0f} | {peak:.0f} |"
    )


def show_step(name: str, row: dict[str, Any], base: float) -> str:
    wall, cpu = (median(row, column) for column in (0, 1))
    return f"| {name} | {row['parameters']:,} | {row['precision']} | {wall:.3f} | {cpu:.3f} | {base / wall:.1f} |"


def median(row: dict[str, Any], column: int) -> float:
    ordered = sorted(each[column] for each in row["times"])
    return float(ordered[len(ordered) // 2])


if __name__ == "__main__":
    main()
