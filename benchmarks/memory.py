"""The memory that a training step and a prediction need at their peak, measured, beside what was worked out before.

Each figure is measured in a process of its own: training in float32 in both memory layouts and in bf16, prediction in
both precisions with the channels last, as the product predicts. On a CPU the peak is the highest resident memory above
what the process held before the network was made; on a GPU it is torch.cuda.max_memory_allocated. What counts is the
second step: the first one makes the gradients and the optimiser's state. It does not matter how busy the machine is.

What is measured is what lives: glibc is told to give every freed block back at once. By its own rules it keeps some,
how much differs from run to run; `--usual` leaves it to them, and compares with what `ushape` reckons with then.

    OMP_WAIT_POLICY=passive python benchmarks/memory.py [--device cuda] [--only unet-bn tiny] [--usual]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SIZES = {2: 256, 3: 64}
FLOATS = 4 * 2**20
"""Of the finest level, about, by which the batch is chosen: what the process itself takes must not count."""
LIMIT = 0.15
STEPS = 2
MIB = 2**20
WAYS: dict[str, tuple[str, bool]] = {
    "float32": ("float32", False),
    "float32, channels last": ("float32", True),
    "bf16, channels last": ("bf16", True),
}
TASKS_AND_WAYS = [*(("step", way) for way in WAYS), *(("prediction", way) for way in list(WAYS)[1:])]
Numbers = dict[str, Any]
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
"""The settings by which glibc keeps next to nothing; it reads them as a program starts."""


def main() -> None:
    options = read_options()
    if not options.usual and GIVE_BACK.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **GIVE_BACK})
    from ushape.nets.presets import PRESETS
    from ushape.workflows import memory  # noqa: F401 - processes inherit what is loaded, and their peaks are without it

    suffix = ("" if options.device == "cpu" else f"_{options.device}") + ("_usual" if options.usual else "")
    stored = RESULTS / f"memory{suffix}.json"
    rows = {key(row): row for row in (json.loads(stored.read_text()) if options.only and stored.exists() else [])}
    names = [(name, ndim) for name, made in PRESETS.items() for ndim in made.dims]
    for name, ndim in names:
        if not options.only or name in options.only:
            rows |= {key(row): row for row in run(name, ndim, options)}
    found = [row for name, ndim in names for row in rows.values() if key(row)[:2] == (name, ndim)]
    text = "\n".join(table(found, options)) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    stored.with_suffix(".md").write_text(text)
    stored.write_text(json.dumps(found, indent=1) + "\n")
    if not options.usual and any(abs(error(row)) > LIMIT for row in found):
        sys.exit(f"some estimates are more than {LIMIT:.0%} off")


def key(row: Numbers) -> tuple[Any, ...]:
    return row["preset"], row["ndim"], row["task"], row["way"]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", nargs="*", help="measure these presets, keep what was measured of the others")
    parser.add_argument("--usual", action="store_true", help="leave it to glibc what it keeps of freed memory")
    return parser.parse_args()


def run(name: str, ndim: int, options: argparse.Namespace) -> Iterable[Numbers]:
    """Measure one preset in every way, each in a process of its own."""
    for task, way in TASKS_AND_WAYS:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            row = pool.apply(measure, (name, ndim, task, way, options))
        print(f"{name} {ndim}D {task} {way}: {row['measured']:.0f} MiB, {error(row):+.1%}", file=sys.stderr, flush=True)
        yield row


def measure(name: str, ndim: int, task: str, way: str, options: argparse.Namespace) -> Numbers:
    """Work out one figure, then measure it, in this process."""
    import torch

    torch.manual_seed(0)
    recipe = make_recipe(name, ndim, way)
    peak, act = TASKS[task](recipe, options.device)
    measured = PEAKS[options.device](act)
    shape = [recipe.patches.batch, *recipe.patches.size]
    return {"preset": name, "ndim": ndim, "shape": shape, "task": task, "way": way} | {
        "estimate": (peak.total if options.usual else peak.tensors) / MIB,
        "measured": measured / MIB,
    }


def make_recipe(name: str, ndim: int, way: str) -> Any:
    from ushape.core.config import with_fields
    from ushape.nets.presets import preset
    from ushape.nets.sizes import valid_sizes
    from ushape.plan.recipe import Recipe

    net = preset(name, ndim=ndim)
    side = SIZES[ndim]
    if net.block.padding == "valid":
        side = valid_sizes(net)[0].nearest(side)[-1]
    batch = max(1, round(FLOATS / (net.widths[0] * side**ndim)))
    precision, last = WAYS[way]
    size = [side] * ndim
    fields = {"net": net.model_dump(), "patches.size": size, "predict.window.size": size, "patches.batch": batch}
    layout = "channels_last" if last else "contiguous"
    return with_fields(Recipe(), {**fields, "train.precision": precision, "train.layout": layout})


def train(recipe: Any, device: str) -> tuple[Any, Callable[[], None]]:
    """Estimate a training step; return what takes some of them in lightning's order."""
    import torch

    from ushape.core.layout import lay_out, lay_out_images
    from ushape.losses.compose import Loss
    from ushape.nets.unet import UNet
    from ushape.train.optim import make_optimizer
    from ushape.train.probe import AUTOCAST
    from ushape.workflows.memory import estimate_step

    precision, last = AUTOCAST.get(recipe.train.precision), recipe.train.layout == "channels_last"

    def act() -> None:
        net = UNet(recipe.net).to(device).train()
        if last:
            lay_out(net, recipe.net.ndim)
        average = [weight.detach().clone() for weight in net.state_dict().values()]
        optimizer, loss = make_optimizer(net.parameters(), recipe.train.optim), Loss(recipe.loss).to(device)
        image = torch.randn(recipe.patches.batch, recipe.net.in_channels, *recipe.patches.size, device=device)
        image = lay_out_images(image, channels_last=last)
        label = torch.randint(2, (recipe.patches.batch, *recipe.patches.size), device=device)
        for _ in range(STEPS):
            with torch.autocast(device, precision, enabled=precision is not None):
                value = loss(net(image), label)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        del average

    return estimate_step(recipe, device), act


def predict(recipe: Any, device: str) -> tuple[Any, Callable[[], None]]:
    """Estimate the prediction of one batch of windows; return what predicts it."""
    import numpy as np

    from ushape.nets.unet import UNet
    from ushape.predict.torch_engine import TorchEngine
    from ushape.workflows.engine import settle
    from ushape.workflows.memory import estimate_prediction

    precision = recipe.train.precision
    shape = (recipe.patches.batch, recipe.net.in_channels, *recipe.patches.size)

    def act() -> None:
        net = settle(UNet(recipe.net).to(device), recipe.net.ndim, device, precision)
        engine = TorchEngine(net, recipe.net.classes, device=device, precision=precision)
        windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        for _ in range(STEPS):
            engine(windows)

    return estimate_prediction(recipe, shape, device, precision), act


def resident_peak(act: Callable[[], None]) -> float:
    """Return the highest resident memory while something is done, above what there was before, in bytes."""
    warm_up()
    Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the highest so far
    before = read_status("VmHWM:")
    act()
    return (read_status("VmHWM:") - before) * 1024


def warm_up() -> None:
    """Let torch load what it loads with its first convolution and its first step back."""
    import torch

    conv = torch.nn.Conv2d(1, 1, 3)
    conv(torch.randn(2, 1, 64, 64)).sum().backward()


def read_status(field: str) -> int:
    return int(Path("/proc/self/status").read_text().split(field)[1].split()[0])


def device_peak(act: Callable[[], None]) -> float:
    """Return the most memory that torch's tensors had on the GPU, in bytes."""
    import torch

    torch.cuda.reset_peak_memory_stats()
    act()
    return float(torch.cuda.max_memory_allocated())


def error(row: Numbers) -> float:
    """Return by which share the estimate is too high."""
    return float(row["estimate"] / row["measured"] - 1)


def table(rows: list[Numbers], options: argparse.Namespace) -> list[str]:
    import torch

    worst = max(abs(error(row)) for row in rows)
    command = "memory.py --usual" if options.usual else "memory.py"
    lines = [
        f"`python benchmarks/{command}`, on {options.device}, torch {torch.__version__}",
        "",
        "glibc keeps what it likes of freed memory." if options.usual else "glibc gives freed memory back at once.",
        f"Peak memory in MiB, measured, and by how much the estimate is higher or lower. Largest error: {worst:.1%}.",
        "A training step is the second one, with the default optimiser and averaged weights, cross-entropy + Dice.",
        "",
        "| preset | batch | task | " + " | ".join(WAYS) + " |",
        "|---|---|---|" + "---:|" * len(WAYS),
    ]
    found = {key(row): row for row in rows}
    for name, ndim, task in dict.fromkeys(key[:3] for key in found):
        several = [found.get((name, ndim, task, way)) for way in WAYS]
        shape = next("x".join(map(str, row["shape"])) for row in several if row)
        cells = " | ".join(f"{row['measured']:.0f} ({error(row):+.1%})" if row else "" for row in several)
        lines.append(f"| {name} | {shape} | {task} | {cells} |")
    return lines


TASKS = {"step": train, "prediction": predict}
PEAKS = {"cpu": resident_peak, "cuda": device_peak}

if __name__ == "__main__":
    main()
