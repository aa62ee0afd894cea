"""Draw the figures of the guide with the program: python docs/guide/figures.py [FOLDER].

The networks are those of docs/networks. There are no words in the pictures, so that all languages share them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Integer, Shaped, UInt8
from numpy import ndarray
from pages import ENGLISH, a_folder, find_blocks, run_blocks
from PIL import Image, ImageDraw
from torch.nn import functional as F

from ushape.core.files import read_csv
from ushape.io.images import read_image, read_mask
from ushape.io.outputs import draw_overlay
from ushape.io.synthetic import make_nuclei
from ushape.losses.compose import Loss, LossConfig
from ushape.nets.field import see_itself
from ushape.nets.join import UPS, UpSpec
from ushape.patches.augment import AugmentConfig, augment
from ushape.report.heat import draw_heat, draw_image, draw_mosaic
from ushape.report.layers import draw_agreement
from ushape.report.plots import BLUE, INK, ORANGE, SOFT, draw, read_curve
from ushape.workflows.explain import ExplainRequest, explain
from ushape.workflows.explanation import Explanation

FOLDER = Path(__file__).parents[1] / "images" / "guide"
Picture = UInt8[ndarray, "rows cols *rgb"]
GAP = 6
COLOURS = 256
IMAGE, MASK = Path("new/images/nuclei_000.png"), Path("new/masks/nuclei_000.png")
LINES = ("#ffffff", "#5cf2a5", "#ffc20a", "#ff8ae0", "#56b4e9")
LIGHT, DARK = (
    "--ink:#16202a;--soft:#5a6773;--grid:#dde3e8;--blue:#0068a8;--orange:#b85c00",
    "--ink:#e8edf1;--soft:#9fadb9;--grid:#33404b;--blue:#62b6ef;--orange:#ffac5e",
)


def main(folder: Path = FOLDER) -> None:
    """Draw all figures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in COMPUTED.items():
        make(folder / name)
    with a_folder():
        run_blocks(find_blocks((ENGLISH / "11-training.md").read_text(encoding="utf-8")))
        for name, make in TRAINED.items():
            make(folder / name)


def draw_image_and_mask(path: Path) -> None:
    """Set side by side an image, its mask, where Otsu's threshold agrees, and the edges a kernel finds."""
    from skimage.filters import threshold_otsu

    image, instances = make_nuclei(np.random.default_rng(3), (96, 128))
    mask = (instances > 0).astype(np.int16)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None]
    edges = F.conv2d(torch.tensor(image, dtype=torch.float32)[None, None], kernel, padding=1)[0, 0].numpy()
    guess = (image > threshold_otsu(image)).astype(np.int16)
    save(path, [[image, stretch(mask), compare(image, mask, guess), stretch(np.clip(edges, -400, 400))]], 2)


def draw_receptive_field(path: Path) -> None:
    """Draw what one pixel has seen after each level of a net of five."""
    image, _ = make_nuclei(np.random.default_rng(8), (160, 256))
    picture = Image.fromarray(np.repeat(draw_image(image[None]), 3, axis=0).repeat(3, axis=1))
    pen, field = ImageDraw.Draw(picture), see_itself(2)
    for colour in LINES:
        field = field.slide((3, 3), (1, 1)).slide((3, 3), (1, 1))
        half = 1.5 * field.size[0]
        pen.rectangle((384 - half, 240 - half, 384 + half, 240 + half), outline=colour, width=3)
        field = field.slide((2, 2), (2, 2))
    save(path, [[np.asarray(picture)]], 1)


def draw_upsampling(path: Path) -> None:
    """Set a coarse image beside what each way up makes of it, untrained; negatives are turned back."""
    image, _ = make_nuclei(np.random.default_rng(3), (96, 128))
    coarse = F.avg_pool2d(torch.tensor(image / 255, dtype=torch.float32)[None, None], 4)[:, :, :, :24]
    torch.manual_seed(2)
    grown = [make(UpSpec(1, 1, (2, 2)))(coarse).detach() for make in UPS.values()]
    smooth = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
    turned = [fine * torch.sign(((fine - fine.mean()) * (smooth - smooth.mean())).sum()) for fine in grown]
    save(path, [[stretch(each[0, 0].numpy()) for each in (smooth, *turned)]], 4)


def draw_augmentation(path: Path) -> None:
    """Set one patch beside what augmentation makes of it, masks outlined."""
    image, instances = make_nuclei(np.random.default_rng(11), (96, 96))
    batch = torch.tensor((image - image.mean()) / image.std(), dtype=torch.float32).expand(7, 1, 96, 96)
    labels = torch.tensor((instances > 0).astype(np.int64)).expand(7, 96, 96)
    often = {"warp": {"rotation": 0.7, "scale": 0.7}, "shade": {"gamma": 0.7, "noise": 0.3, "inversion": 0.15}}
    moved, masks = augment(batch, labels, AugmentConfig.model_validate(often), seed=(0, 1))
    images = [batch[0], *moved]
    tiles = [draw_overlay(x.numpy(), y.numpy()) for x, y in zip(images, [labels[0], *masks], strict=True)]
    save(path, [tiles[:4], tiles[4:]], 2)


def draw_losses(path: Path) -> None:
    """Plot every loss over the probability that a net gives to an object of one percent of the pixels."""
    label = torch.zeros(1, 100, 100, dtype=torch.long)
    label[0, 40:50, 40:50] = 1
    steps = np.linspace(0.01, 0.99, 50)

    def measure(loss: Loss, p: float) -> float:
        found = torch.where(label == 1, p, 0.01)
        return float(loss(torch.stack([1 - found, found], dim=1).log(), label))

    def paint(axes: object) -> None:
        for term, colour, style in (
            ("dice", BLUE, "-"),
            ("tversky", BLUE, ":"),
            ("ce", ORANGE, "-"),
            ("focal", ORANGE, ":"),
        ):
            loss = Loss(LossConfig.model_validate({term: {}}))
            values = [measure(loss, p) for p in steps]
            axes.plot(steps, values, color=colour, linestyle=style, label=term)
        axes.set_xlabel("p", color=SOFT)
        axes.legend(frameon=False, labelcolor=INK)

    write_plot(path, "Losses over the probability of the object", paint)


def draw_training(path: Path) -> None:
    """Plot the loss and the validation Dice of the training in the current folder."""
    rows = read_csv(Path("runs/cells/metrics.csv"))

    def paint(axes: object) -> None:
        for column, label, colour in (("train_loss", "loss", ORANGE), ("val_dice", "Dice", BLUE)):
            axes.plot(*read_curve(rows, column), color=colour, marker="o", markersize=3, label=label)
        axes.set_ylim(0, 1.3)
        axes.set_xlabel("step", color=SOFT)
        axes.legend(frameon=False, labelcolor=INK)

    write_plot(path, "Training loss and validation Dice over the steps", paint)


def draw_prediction(path: Path) -> None:
    """Set side by side new images, and where prediction and mask agree."""
    names = [f"nuclei_00{number}.png" for number in range(4)]
    images = [read_image(Path("new/images") / name)[0] for name in names]
    labels, found = ([read_mask(Path(folder) / name) for name in names] for folder in ("new/masks", "masks"))
    below = [compare(*each) for each in zip(images, labels, found, strict=True)]
    save(path, [images, below], 2)


def draw_gates(path: Path) -> None:
    """Lay the maps of both gates over a new image."""
    found, image = explain_once(), read_image(IMAGE)[0]
    maps = [draw_heat(image[None], stretch(each) / 255) for each in found.gate_maps.values()]
    save(path, [[image, stretch(read_mask(MASK)), *maps]], 2)


def draw_walk(path: Path) -> None:
    """Set some channels of some rows below each other, on an image's way down and up."""
    wanted = [f"encoder.levels.{level}.0.1" for level in range(3)] + ["decoder.1.block.0.1", "decoder.0.block.0.1"]
    rows = {traced.row.stage: traced.maps for traced in explain_once().rows}
    save(path, [[draw_mosaic(rows[name][:5])] for name in wanted], 1)


@cache
def explain_once() -> Explanation:
    """Look into the model of the training in the current folder."""
    return explain(ExplainRequest(Path("runs/cells"), IMAGE, Path("page"), label=MASK))[0]


COMPUTED: dict[str, Callable[[Path], None]] = {
    "image-and-mask.png": draw_image_and_mask,
    "receptive-field.png": draw_receptive_field,
    "upsampling.png": draw_upsampling,
    "augmentation.png": draw_augmentation,
    "losses.svg": draw_losses,
}
TRAINED: dict[str, Callable[[Path], None]] = {
    "training.svg": draw_training,
    "prediction.png": draw_prediction,
    "gates.png": draw_gates,
    "walk.png": draw_walk,
}


def stretch(values: Shaped[ndarray, "rows cols"]) -> Picture:
    """Spread values from black to white."""
    low, high = float(values.min()), float(values.max())
    return np.round(255 * (values - low) / max(high - low, 1e-9)).astype(np.uint8)


def compare(image: Picture, label: Integer[ndarray, "rows cols"], found: Integer[ndarray, "rows cols"]) -> Picture:
    """Lay over an image where label and prediction agree, as a report does."""
    layer = draw_agreement((label > 0).astype(np.int16), (found > 0).astype(np.int16), width=1)
    share = layer[..., 3:] / 255
    return np.round(draw_image(image[None]) * (1 - share) + layer[..., :3] * share).astype(np.uint8)


def save(path: Path, rows: Sequence[Sequence[Picture]], scale: int) -> None:
    """Write pictures in rows, each pixel `scale` times as large, in few colours."""
    strips = [side_by_side([enlarge(each, scale) for each in row], axis=1) for row in rows]
    picture = Image.fromarray(side_by_side(strips, axis=0))
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def enlarge(picture: Picture, scale: int) -> Picture:
    """Repeat pixels, in colour."""
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
    return colour.repeat(scale, axis=0).repeat(scale, axis=1)


def side_by_side(pictures: Sequence[Picture], axis: int) -> Picture:
    """Join pictures with white gaps."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, dtype=np.uint8)
    return np.concatenate([part for each in pictures for part in (gap, each)][1:], axis=axis)


def write_plot(path: Path, alternative: str, paint: Callable[[object], None]) -> None:
    """Write a plot of the report as a file of its own, in the colours of light and dark pages."""
    text = draw(path.stem, alternative, paint).text
    style = f"<style>svg{{{LIGHT}}}@media(prefers-color-scheme:dark){{svg{{{DARK}}}}}</style>"
    alone = re.sub(r'<svg class="plot"', '<svg xmlns="http://www.w3.org/2000/svg"', text, count=1)
    head, rest = alone.split(">", 1)
    path.write_text(f"{head}>{style}{rest}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
