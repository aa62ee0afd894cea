"""Where the thresholds of the verdicts on gates come from: gates of nets trained for few and for many steps.

Held-out nuclei of DSB 2018. For every gate: how far its map varies; what changes in the prediction if the map is
replaced by its mean, that is, what the gate does; how its map correlates with the image's own label, and with the label
of another image, which is what chance gives.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ushape.explain.attention_maps import RELATED, UNIFORM, GateEngine, judge_map
from ushape.explain.levels import level_strides
from ushape.io.layouts import find_inputs, load_case
from ushape.nets.unet import UNet
from ushape.predict.windows import predict_windows
from ushape.prep.pipeline import Pipeline
from ushape.workflows.scene import make_reference
from ushape.workflows.stored import StoredModel, read_model

RESULTS = Path(__file__).parent / "results"
TRAINED = {"0": (0, 0.0), "5": (5, 0.0), "50": (50, 0.0), "300": (300, 0.0), "300, gates with a loss": (300, 0.3)}
"""Steps, and the weight of a loss on the gates."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="dsb2018: images/ and labels/")
    parser.add_argument("--tiny", action="store_true", help="few steps of a tiny net, to try the script")
    parser.add_argument("--cases", type=int, default=60, help="how many images, of 256 x 256; a fifth is held out")
    parser.add_argument("--model", type=Path, help="a run to look at instead of training, to try the script")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = choose_cases(options.data, options.cases, Path(folder) / "data")
        runs = {"given": options.model} if options.model else dict(train_all(Path(folder), tiny=options.tiny))
        lines = [line for name, run in runs.items() for line in describe(name, run, options.data, names)]
    write(lines, len(names), keep=options.model is None and not options.tiny)


def choose_cases(data: Path, cases: int, folder: Path) -> list[str]:
    """Copy images of one size to train on; return the names of others to judge by."""
    stems = [path.stem for path in sorted((data / "images").iterdir()) if Image.open(path).size == (256, 256)]
    chosen = stems[:: max(len(stems) // cases, 1)][:cases]
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for stem in chosen[cases // 5 :]:
            shutil.copy(data / kind / f"{stem}.png", folder / kind)
    return chosen[: cases // 5]


def train_all(folder: Path, *, tiny: bool) -> Iterator[tuple[str, Path]]:
    size = ["net.widths=[16,32,64]", "patches.size=[96,96]"]
    if tiny:
        size = ["net.widths=[8,16,32]", "patches.size=[64,64]", "patches.batch=4"]
    for number, (name, (steps, weight)) in enumerate(TRAINED.items()):
        run, epoch = folder / f"run{number}", max(steps // (5 if tiny else 1), 1)
        changes = [*size, "net.skip=gate", "train.minutes=none", f"train.steps_per_epoch={epoch}",
                   f"loss.gates.weight={weight}"]  # fmt: skip
        changes += ["train.optim.lr=1e-12"] if not steps else []
        command = [sys.executable, "-m", "ushape", "train", str(folder / "data"), "-o", str(run), "--foreground",
                   "--epochs", "1", *(f"--set={change}" for change in changes)]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield name, run


def describe(name: str, run: Path, data: Path, names: list[str]) -> Iterator[str]:
    """Write a line per gate of a net: medians over images, and what the verdicts were."""
    model = read_model(run / "model.safetensors")
    seen = [look(model, data, stem) for stem in names]
    strides = level_strides(net_of(model))
    for number, (gate, level) in enumerate(GateEngine(net_of(model)).gates.items()):
        spreads, effects, verdicts, own, chance = [], [], Counter(), [], []
        for maps, region, changed in seen:
            judged = judge_map(maps[number], region, strides[level])
            others = [other for _, other, _ in seen if other is not region]
            spreads.append(judged.spread)
            effects.append(changed[number])
            own.append(judged.correlation)
            chance += [abs(judge_map(maps[number], other, strides[level]).correlation) for other in others]
            verdicts[judged.verdict] += 1
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        numbers = (np.median(spreads), np.median(effects), np.median(own), np.percentile(chance, 95))
        yield f"| {name} | {gate} | {' | '.join(f'{value:.3f}' for value in numbers)} | {told} |"


def look(model: StoredModel, data: Path, stem: str) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return the maps of all gates, the true foreground, and how much the probabilities change without each gate."""
    recipe, net = model.recipe, net_of(model)
    (pair,) = find_inputs(data / "images" / f"{stem}.png", channels=recipe.data.channels)
    prepared, _ = Pipeline(recipe.prep).forward(load_case(pair, recipe.data.labels, channels=recipe.data.channels))
    window = recipe.predict.window
    maps = predict_windows(prepared.image, GateEngine(net), window)[1:]
    whole = predict_windows(prepared.image, make_reference(net, recipe), window)
    changes = []
    for gate in GateEngine(net).gates:
        with net.get_submodule(f"{gate}.map").register_forward_hook(flatten_map):
            flat = predict_windows(prepared.image, make_reference(net, recipe), window)
        changes.append(float(np.abs(flat - whole).mean()))
    return maps, np.asarray(Image.open(data / "labels" / f"{stem}.png")) > 0, changes


def flatten_map(_: object, __: object, attention: torch.Tensor) -> torch.Tensor:
    return attention.mean(dim=tuple(range(1, attention.ndim)), keepdim=True).expand_as(attention)


def net_of(model: StoredModel) -> UNet:
    net = model.nets[0]
    assert isinstance(net, UNet)
    return net


def write(lines: list[str], cases: int, *, keep: bool) -> None:
    head = ("steps", "gate", "spread", "change without it", "correlation", "95 % of chance", "verdicts")
    table = [
        f"`python benchmarks/gates.py --data DIR`, {cases} held-out images of DSB 2018; medians over images.",
        "",
        f"Uniform is a spread below {UNIFORM}, related a correlation from {RELATED} on.",
        "",
        f"| {' | '.join(head)} |",
        "|---|---|---:|---:|---:|---:|---|",
        *lines,
    ]
    print("\n".join(table))
    if keep:
        (RESULTS / "gates.md").write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
