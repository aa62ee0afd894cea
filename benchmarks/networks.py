"""Parameters, work, seconds and memory of every preset, and of peers' networks of the same topology beside ours.

2D at 256 x 256, 3D at 64 x 64 x 64 (six levels need a multiple of 32), batch 1. Each network runs in processes of its
own, ours and theirs in turn, on as many threads as there are cores, and is timed in both memory layouts: what counts is
the one that is faster for it. MONAI and segmentation-models-pytorch are measured if `--peers` names the Python of an
environment that has them; ours run there too then, on the same torch, and ushape is found beside this script:

    python -m venv peers
    peers/bin/pip install -c constraints.txt torch
    peers/bin/pip install -c constraints.txt --no-deps torchvision timm segmentation-models-pytorch==0.6.0
    peers/bin/pip install -c constraints.txt monai==1.6.1 pydantic jaxtyping tomlkit huggingface_hub safetensors
    peers/bin/pip install -c constraints.txt pillow pyyaml tqdm
    python benchmarks/networks.py --peers peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SIZES = {2: 256, 3: 64}
ROUNDS, STEPS = 3, 3
THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
QUIET = {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore", "NO_ALBUMENTATIONS_UPDATE": "1", **THREADS}
Numbers, Made = dict[str, Any], tuple[Any, tuple[int, ...]]
LAYOUTS = ("_contiguous", "_channels_last")
WORK = {"parameters": ",", "gmacs": ".2f"}
TIMES = ("forward", "step", "bf16_forward", "bf16_step")
FIGURES = (*TIMES, "peak_mib")


@dataclass(frozen=True)
class Pair:
    """One of our presets with the changes that give it the topology of a peer's network, and what still differs."""

    preset: str
    changes: dict[str, Any]
    make_theirs: Callable[[], Any]
    theirs: str
    differs: str = "nothing"


def main() -> None:
    options = read_options()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    from ushape.nets.presets import PRESETS

    load = os.getloadavg()[0]
    pairs = {name: compare(name, options) for name in chosen(PAIRS, options) if options.peers}
    own = {name: merge([run(("own", name), options)]) for name in chosen(PRESETS, options)}
    text = "\n".join([*head(options, load), *pair_table(pairs), "", *own_table(own)]) + "\n"
    print(text)
    if not options.only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "networks.md").write_text(text)
        (RESULTS / "networks.json").write_text(json.dumps({"pairs": pairs, "presets": own}, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="Python of an environment with MONAI and segmentation-models-pytorch")
    parser.add_argument("--only", nargs="*", help="measure these rows only, once, and write no results")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(names: Iterable[str], options: argparse.Namespace) -> list[str]:
    return [name for name in names if not options.only or name in options.only]


def compare(name: str, options: argparse.Namespace) -> dict[str, Numbers]:
    """Measure ours and theirs in turn, so that what else the machine does hits both."""
    runs = [run((side, name), options) for _ in range(1 if options.only else ROUNDS) for side in ("ours", "theirs")]
    return {"ours": merge(runs[::2]), "theirs": merge(runs[1::2])}


def run(child: tuple[str, str], options: argparse.Namespace) -> Numbers:
    command = [options.peers or sys.executable, __file__, "--child", *child]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | QUIET)
    if done.returncode:
        sys.exit(f"{' '.join(child)}:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def merge(runs: list[Numbers]) -> Numbers:
    """Take medians over the rounds, then the faster layout; memory of the first, since what it freed stays about."""
    medians = {name: statistics.median(each[name] for each in runs) for name in runs[0] if name.endswith(LAYOUTS)}
    best = {name: min(medians[name + layout] for layout in LAYOUTS) for name in TIMES}
    return runs[0] | medians | best | {"peak_mib": medians["peak_mib" + LAYOUTS[0]]}


def measure(child: list[str]) -> Numbers:
    """Run one network in this process, in both layouts: of each kind of call one uncounted, then the median of some."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    kind, name = child
    torch.manual_seed(0)
    net, size = MAKERS[kind](name)
    image = torch.randn(1, 1, *size)
    with FlopCounterMode(display=False) as counter:
        predict(net.eval(), image)
    parameters = sum(each.numel() for each in net.parameters())
    numbers = {"size": list(size), "parameters": parameters, "gmacs": counter.get_total_flops() / 2e9}
    channels_last = torch.channels_last if image.ndim == 4 else torch.channels_last_3d
    for suffix, layout in zip(LAYOUTS, (torch.contiguous_format, channels_last), strict=True):
        net.to(memory_format=layout)
        measured = measure_layout(net, image.contiguous(memory_format=layout))
        numbers |= {name + suffix: value for name, value in measured.items()}
    return numbers


def measure_layout(net: Any, image: Any) -> Numbers:
    import torch

    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    optimizer.zero_grad()
    before = reset_peak_mib()
    numbers = {
        "step": time_calls(lambda: take_step(net.train(), image, optimizer)),
        "peak_mib": peak_mib() - before,
        "forward": time_calls(lambda: predict(net.eval(), image)),
    }
    with torch.autocast("cpu", torch.bfloat16):
        numbers["bf16_step"] = time_calls(lambda: take_step(net.train(), image, optimizer))
        numbers["bf16_forward"] = time_calls(lambda: predict(net.eval(), image))
    return numbers


def make_preset(name: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Made:
    from ushape.core.config import with_fields
    from ushape.nets.presets import build, preset
    from ushape.nets.sizes import valid_sizes

    if name.startswith("timm:"):
        stand_in_for_torchvision()
    config = with_fields(preset(name), changes)
    size = SIZES[config.ndim]
    if config.block.padding == "valid":
        size = valid_sizes(config)[0].nearest(size)[-1]
    return build(config), (size,) * config.ndim


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


def reset_peak_mib() -> float:
    """Let Linux forget the highest memory so far; return what is in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def head(options: argparse.Namespace, load: float) -> list[str]:
    return [
        f"`python benchmarks/networks.py`, {len(os.sched_getaffinity(0))} cores, {versions(options)}",
        f"{' '.join(f'{name}={value}' for name, value in THREADS.items())} for both sides.",
        f"Load average {load:.1f} when it began. Batch 1, float32, and bf16 by autocast.",
        f"Medians of {STEPS} calls after an uncounted one, in the memory layout that is faster for each network;",
        f"of pairs, medians over {ROUNDS} processes of each side, in turn.",
        "Peak: what a float32 training step (SGD with momentum) needs above the network, in the default layout.",
        "",
    ]


def versions(options: argparse.Namespace) -> str:
    names = ("torch", "monai", "segmentation-models-pytorch")[: 3 if options.peers else 1]
    code = f"from importlib.metadata import version as v; print(*(n + ' ' + v(n) for n in {names}), sep=', ')"
    command = [options.peers or sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pair_table(pairs: dict[str, dict[str, Numbers]]) -> list[str]:
    ratios = "forward | step | bf16 forward | bf16 step | peak"
    lines = ["Ratios are ours / theirs: below 1 ours is faster, or smaller.", ""]
    lines += [f"| topology | theirs | parameters, ours and theirs | GMACs | {ratios} | what differs |"]
    lines += ["|---|---|---|---|---:|---:|---:|---:|---:|---|"]
    lines += [] if pairs else ["| none: they need --peers PYTHON | | | | | | | | | |"]
    for name, pair in pairs.items():
        peer, ours, theirs = PAIRS[name], pair["ours"], pair["theirs"]
        ratios = " | ".join(f"{ours[each] / theirs[each]:.2f}" for each in FIGURES)
        work = " | ".join(f"{ours[key]:{form}}, {theirs[key]:{form}}" for key, form in WORK.items())
        lines.append(f"| {name} | {peer.theirs} | {work} | {ratios} | {peer.differs} |")
    return lines


def own_table(rows: dict[str, Numbers]) -> list[str]:
    lines = [
        "| preset | image | parameters | GMACs | forward, s | step, s | bf16 forward, s | bf16 step, s | peak, MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        seconds = " | ".join(f"{row[each]:.3f}" for each in TIMES)
        work = " | ".join(f"{row[key]:{form}}" for key, form in WORK.items())
        size = "x".join(map(str, row["size"]))
        lines.append(f"| {name} | {size} | {work} | {seconds} | {row['peak_mib']:.0f} |")
    return lines


def dynunet(dims: int, filters: tuple[int, ...]) -> Any:
    from monai.networks.nets import DynUNet

    levels, norm = len(filters), ("INSTANCE", {"affine": True})
    strides, kernels = [1, *[2] * (levels - 1)], [3] * levels
    return DynUNet(dims, 1, 2, kernels, strides, strides[1:], filters=filters, norm_name=norm, trans_bias=True)


def attention_unet() -> Any:
    """Build MONAI's AttentionUnet with up-convolutions whose kernel is their stride, which it cannot be asked for."""
    from monai.networks.nets.attentionunet import AttentionUnet, UpConv
    from torch.nn import ConvTranspose3d

    net = AttentionUnet(3, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2))
    for part in net.modules():
        if isinstance(part, UpConv):
            old: Any = part.up.conv
            part.up.conv = ConvTranspose3d(old.in_channels, old.out_channels, 2, stride=2)
    return net


def smp_unet() -> Any:
    """Build the U-Net of segmentation-models-pytorch with a 1x1 convolution as its head."""
    stand_in_for_torchvision()
    import segmentation_models_pytorch as smp
    import torch

    net = smp.Unet("resnet34", encoder_weights=None, in_channels=1, classes=2)
    net.segmentation_head = torch.nn.Conv2d(16, 2, 1)
    return net


def stand_in_for_torchvision() -> None:
    """Define the operators that a torchvision built for CUDA lacks beside a torch for CPUs."""
    import torch

    STAND_INS.append(torch.library.Library("torchvision", "DEF"))  # it is gone with its last reference
    for name in ("nms", "qnms"):
        STAND_INS[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


STAND_INS: list[Any] = []
DYNUNET = {"deep_supervision": False, "down": "stride", "block.bias": "off"}
ATTENTION = {"up": "transpose", "down": "stride", "decoder.convs": 1, "gate.norm": True, "gate.reduction": 2}
GATES = "theirs has a norm and ReLU behind each up-convolution, and its gates work on the finer of two grids"
RESNET = "no layer: theirs has torchvision's ResNet-34 for timm's, and frees tensors earlier"
PAIRS = {
    "2D tiny": Pair("tiny", DYNUNET, lambda: dynunet(2, (8, 16, 32, 64)), "MONAI DynUNet"),
    "3D nnunet-3d": Pair("nnunet-3d", DYNUNET, lambda: dynunet(3, (32, 64, 128, 256, 320, 320)), "MONAI DynUNet"),
    "3D attention-3d": Pair("attention-3d", ATTENTION, attention_unet, "MONAI AttentionUnet", GATES),
    "2D resnet34": Pair("timm:resnet34", {"up_kernel": 0}, smp_unet, "SMP Unet", RESNET),
}

MAKERS: dict[str, Callable[[str], Made]] = {
    "own": make_preset,
    "ours": lambda name: make_preset(PAIRS[name].preset, PAIRS[name].changes),
    "theirs": lambda name: (PAIRS[name].make_theirs(), (SIZES[int(name[0])],) * int(name[0])),
}

if __name__ == "__main__":
    main()
