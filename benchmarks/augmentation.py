"""Augmented patches per CPU second, beside batchgeneratorsv2.

Both sides do what nnU-Net does by default (rotation, scale, noise, blur, brightness, contrast, low resolution, gamma,
inverted gamma, mirroring), with its probabilities and ranges, in one process on one thread, in turn, on equal patches.
Theirs is the pipeline of nnU-Net's trainer, in its order, without the copies of the label at lower levels; it runs
patch by patch, ours on batches. nnU-Net blurs and coarsens each channel with probability 1/2 once a patch is struck:
with one channel, as here, ours strikes half as often. Labels are moved by their nearest voxel in ours, per class and
linearly in theirs; another row of theirs has the nearest voxel too. Theirs would read larger patches for rotations:
not counted.

Theirs needs an environment of its own:

    python -m venv peers
    peers/bin/pip install torch==2.13.0 batchgeneratorsv2==0.3.6
    python benchmarks/augmentation.py --peers peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
SHAPES = {"2D, 8x128x128": (8, 128, 128), "3D, 2x40x56x40": (2, 40, 56, 40)}
ROUNDS, BATCHES = 5, 100
DEGREES = {2: 180.0, 3: 30.0}
Side = Callable[[torch.Tensor, torch.Tensor, int], Any]


def main() -> None:
    options = read_options()
    if options.child:
        side, name, batches = options.child
        print(json.dumps(run_side(SIDES[side](SHAPES[name]), SHAPES[name], int(batches))))
        return
    load = os.getloadavg()[0]
    sides = {"own": sys.executable} | (
        {"theirs": options.peers, "theirs_nearest": options.peers} if options.peers else {}
    )
    speed = {name: measure_sides(sides, name, options) for name in SHAPES}
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"`python benchmarks/augmentation.py`, {cores} cores, load {load:.1f} at the start, torch {torch.__version__}"
    ]
    lines += ["", *speed_table(speed, options)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "augmentation.md").write_text(text)
        (RESULTS / "augmentation.json").write_text(json.dumps(speed, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="Python of an environment with batchgeneratorsv2")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="processes per side and shape")
    parser.add_argument("--batches", type=int, default=BATCHES, help="batches per process")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave results/ alone")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_sides(sides: dict[str, str], name: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return CPU seconds per patch of each side, one number per process; the sides take turns."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, python in sides.items():
            command = [python, __file__, "--child", side, name, str(options.batches)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def run_side(side: Side, shape: tuple[int, ...], batches: int) -> float:
    torch.set_num_threads(1)
    image, label = make_batch(shape)
    for step in range(3 + batches):
        if step == 3:
            started = time.process_time()
        side(image.clone(), label.clone(), step)
    return (time.process_time() - started) / batches / shape[0]


def make_batch(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise that is smooth enough to look like an organ, in three classes by its values."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(shape[0], 1, *(max(size // 8, 1) for size in shape[1:]), generator=rng)
    mode = {2: "bilinear", 3: "trilinear"}[len(shape) - 1]
    image = torch.nn.functional.interpolate(coarse, shape[1:], mode=mode, align_corners=False)
    label = torch.bucketize(image[:, 0], torch.tensor([0.3, 0.9])).to(torch.int16)
    return image + 0.1 * torch.randn(image.shape, generator=rng), label


def make_own(shape: tuple[int, ...]) -> Side:
    from ushape.patches.augment import augment

    config = nnunet_config(len(shape) - 1)
    return lambda image, label, step: augment(image, label, config, (0, step))


def nnunet_config(ndim: int) -> Any:
    """Return nnU-Net's default augmentation in our words."""
    from ushape.patches.augment import AugmentConfig
    from ushape.patches.shade import ShadeConfig
    from ushape.patches.warp import WarpConfig

    warp = WarpConfig(flip=True, rotate90=False, rotation=0.2, degrees=DEGREES[ndim], scale=0.2, scale_range=(0.7, 1.4))
    shade = ShadeConfig(
        noise=0.1,
        noise_variance=(0.0, 0.1),
        blur=0.1,
        blur_sigma=(0.5, 1.0),
        brightness=0.15,
        brightness_range=(0.75, 1.25),
        contrast=0.15,
        contrast_range=(0.75, 1.25),
        low_resolution=0.125,
        low_resolution_range=(0.5, 1.0),
        gamma_inverted=0.1,
        gamma=0.3,
        gamma_range=(0.7, 1.5),
        keep_statistics=True,
    )
    return AugmentConfig(warp=warp, shade=shade)


def make_theirs(shape: tuple[int, ...], mode_seg: str = "bilinear") -> Side:
    pipeline = nnunet_pipeline(shape[1:], mode_seg)

    def run(image: torch.Tensor, label: torch.Tensor, _step: int) -> list[Any]:
        return [pipeline(image=one, segmentation=mask[None]) for one, mask in zip(image, label, strict=True)]

    return run


def nnunet_pipeline(space: tuple[int, ...], mode_seg: str) -> Any:
    """Build what nnU-Net's trainer builds by default for patches of one channel."""
    import math

    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    most = math.radians(DEGREES[len(space)])
    around, power = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    coarsen = SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5)
    return ComposeTransforms(
        [
            SpatialTransform(
                space,
                patch_center_dist_from_border=0,
                random_crop=False,
                p_rotation=0.2,
                rotation=(-most, most),
                p_scaling=0.2,
                scaling=(0.7, 1.4),
                p_synchronize_scaling_across_axes=1,
                mode_seg=mode_seg,
            ),
            RandomTransform(GaussianNoiseTransform((0, 0.1), 1, True), 0.1),
            RandomTransform(GaussianBlurTransform((0.5, 1.0), False, False, 0.5, True), 0.2),
            RandomTransform(MultiplicativeBrightnessTransform(around, False, 1), 0.15),
            RandomTransform(ContrastTransform(around, True, False, 1), 0.15),
            RandomTransform(coarsen, 0.25),
            RandomTransform(GammaTransform(power, 1, False, 1, 1), 0.1),
            RandomTransform(GammaTransform(power, 0, False, 1, 1), 0.3),
            MirrorTransform(tuple(range(len(space)))),
            RemoveLabelTansform(-1, 0),
        ]
    )


SIDES: dict[str, Callable[[tuple[int, ...]], Side]] = {
    "own": make_own,
    "theirs": make_theirs,
    "theirs_nearest": lambda shape: make_theirs(shape, "nearest"),
}
TITLES = {
    "own": "ushape",
    "theirs": "batchgeneratorsv2, nnU-Net's default",
    "theirs_nearest": "batchgeneratorsv2, labels by the nearest voxel",
}


def speed_table(speed: dict[str, dict[str, list[float]]], options: argparse.Namespace) -> list[str]:
    lines = [f"One process, one thread; medians of {options.rounds} processes of {options.batches} batches each.", ""]
    lines += ["| patches | by | patches per CPU second (min to max) | ushape is faster by |", "|---|---|---|---|"]
    for name, sides in speed.items():
        own = statistics.median(sides["own"])
        for side, seconds in sides.items():
            mid = statistics.median(seconds)
            spread = f"{1 / mid:.0f} ({1 / max(seconds):.0f} to {1 / min(seconds):.0f})"
            lines.append(f"| {name} | {TITLES[side]} | {spread} | {mid / own:.1f} |")
    return lines


if __name__ == "__main__":
    main()
