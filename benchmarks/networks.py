"""Parameters, seconds and memory of every preset, and of peers' networks of the same topology beside ours.

2D at 256 x 256, 3D at 64 x 64 x 64 (six levels need a multiple of 32), batch 1, float32. Each network runs in processes
of its own, ours and theirs in turn. MONAI and segmentation-models-pytorch are measured if `--peers` names the Python of
an environment that has them; it need not have ushape:

    python -m venv peers
    peers/bin/pip install torch==2.13.0 monai==1.6.1
    peers/bin/pip install --no-deps torchvision==0.28.0 timm segmentation-models-pytorch
    peers/bin/pip install huggingface_hub pillow pyyaml safetensors tqdm
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

RESULTS = Path(__file__).parent / "results"
SIZES = {2: 256, 3: 64}
ROUNDS, STEPS = 3, 3
QUIET = {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore", "NO_ALBUMENTATIONS_UPDATE": "1"}
NO_PEERS = "not measured: no environment was given (--peers PYTHON)"
Numbers = dict[str, Any]
Made = tuple[Any, tuple[int, ...]]
FIGURES = ("forward_seconds", "step_seconds", "peak_mib")


@dataclass(frozen=True)
class Pair:
    """One of our presets with the changes that give it the topology of a peer's network."""

    preset: str
    changes: dict[str, Any]
    make_theirs: Callable[[], Any]
    theirs: str


def main() -> None:
    options = read_options()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    load = os.getloadavg()[0]
    own = {name: merge(list(run_rounds([("own", name)], options))) for name in chosen(preset_names(), options)}
    pairs = {name: compare(name, options) for name in chosen(list(PAIRS), options)}
    text = "\n".join([*head(options, load), *own_table(own), "", *pair_table(pairs)]) + "\n"
    print(text)
    if not options.only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "networks.md").write_text(text)
        (RESULTS / "networks.json").write_text(json.dumps({"presets": own, "pairs": pairs}, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="Python of an environment with MONAI and segmentation-models-pytorch")
    parser.add_argument("--only", nargs="*", help="measure these rows only, and write no results")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="processes per network")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def preset_names() -> list[str]:
    from ushape.nets.presets import PRESETS

    return list(PRESETS)


def chosen(names: list[str], options: argparse.Namespace) -> list[str]:
    return [name for name in names if not options.only or name in options.only]


def compare(name: str, options: argparse.Namespace) -> dict[str, Numbers]:
    """Measure ours and theirs in turn, so that what else the machine does hits both."""
    runs = list(run_rounds([("ours", name), ("theirs", name)], options))
    return {"ours": merge(runs[::2]), "theirs": merge(runs[1::2])}


def run_rounds(children: list[tuple[str, str]], options: argparse.Namespace) -> Iterator[Numbers]:
    for _ in range(options.rounds):
        for child in children:
            yield run(child, options.peers if child[0] == "theirs" else sys.executable)


def run(child: tuple[str, str], python: str | None) -> Numbers:
    if python is None:
        return {"missing": NO_PEERS}
    command = [python, __file__, "--child", *child]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | QUIET)
    if done.returncode:
        last = done.stderr.strip().splitlines() or ["no reason given"]
        if child[0] != "theirs":
            sys.exit(f"{' '.join(child)}: {last[-1]}")
        return {"missing": f"not measured: {last[-1]}"}
    numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
    return numbers


def merge(runs: list[Numbers]) -> Numbers:
    """Take medians over the rounds; of memory too."""
    if "missing" in runs[0]:
        return runs[0]
    return runs[0] | {name: statistics.median(each[name] for each in runs) for name in FIGURES}


def measure(child: list[str]) -> Numbers:
    """Run one network in this process: one forward pass and one training step uncounted, then some of each."""
    import torch

    kind, name = child
    torch.manual_seed(0)
    net, size = MAKERS[kind](name)
    image = torch.randn(1, 1, *size)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    before = resident_mib()
    forward = time_calls(lambda: predict(net.eval(), image))
    step = time_calls(lambda: take_step(net.train(), image, optimizer))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "size": list(size),
        "parameters": sum(each.numel() for each in net.parameters()),
        "forward_seconds": forward,
        "step_seconds": step,
        "peak_mib": peak - before,
    }


def make_preset(name: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Made:
    from ushape.core.config import with_fields
    from ushape.nets.presets import build, preset
    from ushape.nets.sizes import valid_sizes

    config = with_fields(preset(name), changes)
    size = SIZES[config.ndim]
    if config.block.padding == "valid":
        size = valid_sizes(config)[0].nearest(size)[-1]
    return build(config), (size,) * config.ndim


def make_ours(name: str) -> Made:
    return make_preset(PAIRS[name].preset, PAIRS[name].changes)


def make_theirs(name: str) -> Made:
    dims = 3 if name.startswith("3D") else 2
    return PAIRS[name].make_theirs(), (SIZES[dims],) * dims


def predict(net: Any, image: Any) -> None:
    import torch

    with torch.inference_mode():
        net(image)


def take_step(net: Any, image: Any, optimizer: Any) -> None:
    """Train with a loss that costs nothing: what is measured is the network."""
    output = net(image)
    levels = output if isinstance(output, list | tuple) else [output]
    optimizer.zero_grad()
    sum(level.square().mean() for level in levels).backward()
    optimizer.step()


def time_calls(call: Callable[[], None]) -> float:
    seconds = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def head(options: argparse.Namespace, load: float) -> list[str]:
    import torch

    peers = f", peers: {peer_versions(options.peers)}" if options.peers else ""
    return [
        f"`python benchmarks/networks.py`, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}{peers}",
        f"Medians of {options.rounds} processes of {STEPS} calls each; load average {load:.1f} when it began.",
        "Peak: what the process needs for weights' gradients, momentum and activations, above the built network.",
        "",
    ]


def peer_versions(python: str) -> str:
    code = (
        "from importlib.metadata import version, PackageNotFoundError\n"
        "for name in ('torch', 'monai', 'segmentation-models-pytorch'):\n"
        "    try: print(name, version(name), end='; ')\n"
        "    except PackageNotFoundError: print(name, 'missing', end='; ')"
    )
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip("; ")


def own_table(rows: dict[str, Numbers]) -> list[str]:
    lines = [
        "| preset | image | parameters | forward, s | training step, s | peak, MiB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | {row.get('missing') or describe(row)} |")
    return lines


def describe(row: Numbers) -> str:
    size = "x".join(map(str, row["size"]))
    times = f"{row['forward_seconds']:.3f} | {row['step_seconds']:.3f} | {row['peak_mib']:.0f}"
    return f"{size} | {row['parameters']:,} | {times}"


def pair_table(pairs: dict[str, dict[str, Numbers]]) -> list[str]:
    lines = ["| topology | theirs | parameters, ours and theirs | forward, ours / theirs | step | peak memory |"]
    lines += ["|---|---|---|---:|---:|---:|"]
    for name, pair in pairs.items():
        ours, theirs = pair["ours"], pair["theirs"]
        start = f"| {name} | {PAIRS[name].theirs} |"
        missing = ours.get("missing") or theirs.get("missing")
        if missing:
            lines.append(f"{start} {missing} | | | |")
            continue
        ratios = " | ".join(f"{ours[each] / theirs[each]:.2f}" for each in FIGURES)
        lines.append(f"{start} {ours['parameters']:,}, {theirs['parameters']:,} | {ratios} |")
    return lines


def dynunet(dims: int, filters: tuple[int, ...]) -> Any:
    from monai.networks.nets import DynUNet

    levels, norm = len(filters), ("INSTANCE", {"affine": True})
    strides, kernels = [1, *[2] * (levels - 1)], [3] * levels
    return DynUNet(dims, 1, 2, kernels, strides, strides[1:], filters=filters, norm_name=norm)


def attention_unet() -> Any:
    from monai.networks.nets import AttentionUnet

    return AttentionUnet(3, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2))


def basic_unet(dims: int, features: tuple[int, ...]) -> Any:
    from monai.networks.nets import BasicUNet

    return BasicUNet(dims, 1, 2, features=features, act="relu", norm="batch", bias=False)


def smp_unet() -> Any:
    """Build the U-Net of segmentation-models-pytorch without the block that it adds at the bottleneck of VGG."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # stands in for the operators of a torchvision built for CUDA
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import segmentation_models_pytorch as smp

    widths = (512, 256, 128, 64)
    net = smp.Unet("vgg16_bn", 4, None, decoder_channels=widths, in_channels=1, classes=2)
    net.decoder.center = torch.nn.Identity()
    return net


ONE_HEAD = {"deep_supervision": False}
NNUNET_2D, NNUNET_3D = (32, 64, 128, 256, *[512] * 4), (32, 64, 128, 256, 320, 320)
SMP = {"encoder": "vgg16_bn", "up": "nearest", "up_kernel": 0}
WIDE = (64, 128, 256, 512, 1024, 64)
PAIRS = {
    "2D nnunet-2d, one head": Pair("nnunet-2d", ONE_HEAD, lambda: dynunet(2, NNUNET_2D), "MONAI DynUNet"),
    "3D nnunet-3d, one head": Pair("nnunet-3d", ONE_HEAD, lambda: dynunet(3, NNUNET_3D), "MONAI DynUNet"),
    "3D attention-3d, transposed": Pair("attention-3d", {"up": "transpose"}, attention_unet, "MONAI AttentionUnet"),
    "2D unet-bn": Pair(
        "unet-bn", {}, lambda: basic_unet(2, WIDE), "MONAI BasicUNet, whose last step up is twice as wide"
    ),
    "2D vgg16_bn, nearest": Pair("vgg16", SMP, smp_unet, "SMP Unet without its centre; it has no finest skip"),
    "2D tiny": Pair("tiny", {}, lambda: dynunet(2, (8, 16, 32, 64)), "MONAI DynUNet"),
}

MAKERS: dict[str, Callable[[str], Made]] = {"own": make_preset, "ours": make_ours, "theirs": make_theirs}

if __name__ == "__main__":
    main()
